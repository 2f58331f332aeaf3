// SPDX-License-Identifier: Apache-2.0
#include <iostream>

#include <CLI/CLI.hpp>

#include <lxdcore/error.hpp>

#include "admin/commands.hpp"
#include "run.hpp"

namespace lxdcore::daemon {
namespace {

/// The release whose interface is offered: scripts compare it.
constexpr const char* kVersion = "5.0.2";

struct GlobalFlags {
    bool debug = false, verbose = false, syslog = false, allow_empty_database = false;
    std::string logfile, group;
    std::vector<std::string> trace;
};

int run(const GlobalFlags& flags) {
    RunOptions options{.state_dir = state_dir(), .group = flags.group, .log = {}};
    options.log.level = flags.debug ? LogLevel::Debug : flags.verbose ? LogLevel::Info : LogLevel::Warning;
    options.log.file = flags.logfile;
    options.log.syslog = flags.syslog;
    options.allow_empty_database = flags.allow_empty_database;
    return run_daemon(options);
}

void add_global_flags(CLI::App& app, GlobalFlags& flags) {
    app.add_flag("-d,--debug", flags.debug, "Show all debug messages");
    app.add_flag("-v,--verbose", flags.verbose, "Show all information messages");
    app.add_flag("--syslog", flags.syslog, "Log to syslog");
    app.add_option("--logfile", flags.logfile, "Path to the log file")->type_name("FILE");
    app.add_option("--trace", flags.trace, "Log tracing targets")->type_name("TARGETS");
    app.set_version_flag("--version", kVersion, "Print version number");
}

void add_lifecycle(CLI::App& app, const ApiClient& client) {
    static constexpr int kNoLimit = 0;
    auto* ready = app.add_subcommand("waitready", "Wait for the daemon to be ready to process requests");
    auto ready_timeout = std::make_shared<int>(kNoLimit);
    ready->add_option("-t,--timeout", *ready_timeout, "Number of seconds to wait before giving up");
    ready->callback([&client, ready_timeout] { wait_ready(client, std::chrono::seconds{*ready_timeout}); });

    auto* stop = app.add_subcommand("shutdown", "Tell the daemon to shut down all instances and exit");
    auto stop_timeout = std::make_shared<int>(kNoLimit);
    auto force = std::make_shared<bool>(false);
    stop->add_option("-t,--timeout", *stop_timeout, "Number of seconds to wait before giving up");
    stop->add_flag("-f,--force", *force, "Do not wait for running operations to finish");
    stop->callback([&client, stop_timeout, force] { shutdown(client, std::chrono::seconds{*stop_timeout}, *force); });

    app.add_subcommand("activateifneeded", "Wake a socket-activated daemon if it has been used before")
        ->callback([&client] { activate_if_needed(client); });
    app.add_subcommand("version", "Show the server version")->callback([] { std::cout << kVersion << "\n"; });
}

void add_sql(CLI::App& app, const ApiClient& client) {
    auto* verb = app.add_subcommand("sql", "Execute a SQL query against the local or global database");
    auto arguments = std::make_shared<std::pair<std::string, std::string>>();
    verb->add_option("database", arguments->first, "local or global");
    verb->add_option("query", arguments->second, "SQL, - for standard input, .schema or .dump");
    verb->callback([&client, arguments, verb] {
        if (arguments->second.empty()) std::cout << verb->help();
        if (arguments->first.empty()) return; // whoever gives nothing wants to be told
        if (arguments->second.empty()) throw Error{ErrorCode::InvalidArgument, "Missing required arguments"};
        sql(client, arguments->first, arguments->second);
    });
}

void add_recover(CLI::App& app, const ApiClient& client) {
    app.add_subcommand("recover", "Recover missing instances and volumes from existing and unknown storage pools")
        ->callback([&client] { recover(client); });
}

void add_init(CLI::App& app, const ApiClient& client) {
    struct Choice {
        bool automatic = false, minimal = false, preseed = false, dump = false;
        InitOptions options;
    };
    auto choice = std::make_shared<Choice>();
    auto& options = choice->options;
    auto* verb = app.add_subcommand("init", "Configure the daemon");
    verb->add_flag("--auto", choice->automatic, "Automatic (non-interactive) mode");
    verb->add_flag("--minimal", choice->minimal, "Minimal configuration (non-interactive)");
    verb->add_flag("--preseed", choice->preseed, "Pre-seed mode, expects YAML config from stdin");
    verb->add_flag("--dump", choice->dump, "Dump YAML config to stdout");
    verb->add_option("--network-address", options.network_address, "Address to bind to (default: none)");
    verb->add_option("--network-port", options.network_port, "Port to bind to (default: 8443)");
    verb->add_option("--storage-backend", options.storage_backend, "Storage backend to use (default: dir)");
    verb->add_option("--storage-create-device", options.storage_create_device, "Set up storage on this device");
    verb->add_option("--storage-create-loop", options.storage_create_loop, "Set up loop based storage, size in GB");
    verb->add_option("--storage-pool", options.storage_pool, "Storage pool to use or create");
    verb->add_option("--trust-password", options.trust_password, "Password required to add new clients");
    verb->callback([&client, choice] {
        const int modes = choice->automatic + choice->minimal + choice->preseed + choice->dump;
        if (modes > 1)
            throw Error{ErrorCode::InvalidArgument, "Can't use --auto, --minimal, --preseed or --dump together"};
        if (choice->preseed)
            init_preseed(client);
        else if (choice->dump)
            init_dump(client);
        else if (modes == 1)
            init_auto(client, choice->options);
        else
            init_ask(client);
    });
}

int main_of(int argc, char** argv) {
    CLI::App app{
        "The container manager daemon. Without a command it runs the daemon; the commands administer a running "
        "one through its socket below $LXD_DIR (/var/lib/lxd).",
        std::filesystem::path{argv[0]}.filename().string()};
    const ApiClient client{state_dir() / "unix.socket"};
    GlobalFlags flags;
    app.fallthrough();
    app.require_subcommand(0, 1);
    add_global_flags(app, flags);
    app.add_option("-g,--group", flags.group, "The group of users that will be allowed to talk to the daemon")
        ->type_name("GROUP");
    app.add_flag("--allow-empty-database", flags.allow_empty_database,
                 "Begin with an empty database although instances are found on disk (then use recover)");
    add_lifecycle(app, client);
    add_sql(app, client);
    add_init(app, client);
    add_recover(app, client);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 1;
    }
    return app.get_subcommands().empty() ? run(flags) : 0;
}

} // namespace
} // namespace lxdcore::daemon

int main(int argc, char** argv) {
    try {
        return lxdcore::daemon::main_of(argc, argv);
    } catch (const std::exception& error) {
        std::cerr << "Error: " << error.what() << "\n";
        return 1;
    }
}
