// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "instance/console_log.hpp"
#include "instance/lxc/seccomp_filter.hpp"
#include "instance/lxc/seccomp_profile.hpp"
#include "instance/manager.hpp"
#include "util/names.hpp"

namespace lxdcore::instance {

namespace {

constexpr std::size_t kMaxLog = 16 << 20;
constexpr const char* kPolicies = "security/seccomp";

/// Others, as console.log, which has an URL of its own, are not listed either.
bool can_be_read(const std::string& log) {
    try {
        names::check_log_file(log);
        return true;
    } catch (const Error&) {
        return false;
    }
}

/// LXD says so.
std::string log_source(const InstanceRef& ref, const std::string& name) {
    return "/1.0/instances/" + ref.name + "/backups/" + name +
           (ref.project == "default" ? "" : "?project=" + ref.project);
}

} // namespace

std::optional<RunningGuest> Manager::running_guest(const Loaded& instance) const {
    const auto ref = instance.ref();
    const auto running = runtime_.find(ref);
    if (!running) return std::nullopt;
    // What its init got, whatever the configuration says now.
    const auto policy = s_.state_dir.exists(kPolicies)
                            ? s_.state_dir.dir(kPolicies).read_if_exists(dir_name(ref), kMaxLog).value_or("")
                            : std::string{};
    std::function<void(UniqueFd)> serve_calls;
    if (asks_about_calls(policy))
        serve_calls = [this, ref, init = running->init_pid](UniqueFd listener) {
            syscalls_->serve(ref, init, std::move(listener));
        };
    return RunningGuest{.ref = ref,
                        .init_pid = running->init_pid,
                        .init_pidfd = running->init_pidfd,
                        .idmap = running->idmap,
                        .expanded_config = instance.config,
                        .cgroup_paths = Cgroup{cgroups_, running->cgroup}.directories(),
                        .limits = kernel_limits(log_dir(ref).read_if_exists("lxc.conf", kMaxLog).value_or("")),
                        .seccomp_bpf = seccomp_bpf(policy),
                        .serve_calls = std::move(serve_calls),
                        .log_path = log_dir(ref).path(),
                        .lxc_path = s_.state_dir.path() + "/containers",
                        .lxc_name = dir_name(ref)};
}

RunningGuest Manager::guest(const InstanceRef& ref) const {
    const auto instance = load(ref);
    auto guest = running_guest(instance);
    if (!guest) throw Error{ErrorCode::BadState, "Instance is not running"};
    if (runtime_.status(ref) == api::Status::Frozen) throw Error{ErrorCode::BadState, "Instance is frozen"};
    return std::move(*guest);
}

OperationPtr Manager::exec(const InstanceRef& ref, const api::InstanceExecPost& request) {
    return guests_->exec(guest(ref), request);
}

OperationPtr Manager::exec(const InstanceRef& ref, const api::InstanceExecPost& request, const ExecStreams& streams) {
    return guests_->exec(guest(ref), request, streams);
}

int Manager::run_in_guest(const InstanceRef& ref, std::vector<std::string> command) {
    constexpr std::chrono::seconds kPatience{30};
    api::InstanceExecPost request;
    request.command = std::move(command);
    const auto operation = exec(ref, request, ExecStreams{});
    if (!operation->wait(kPatience) || !operation->error().empty()) return -1;
    return operation->to_json().at("metadata").value("return", -1);
}

OperationPtr Manager::console(const InstanceRef& ref, int width, int height) {
    return guests_->console(guest(ref), width, height);
}

std::string Manager::console_log(const InstanceRef& ref) const {
    (void)load(ref);
    auto text = read_console_log(log_dir(ref));
    lifecycle(ref, "instance-console-retrieved");
    return text;
}

void Manager::clear_console_log(const InstanceRef& ref) {
    (void)load(ref);
    reset_console_log(log_dir(ref));
    lifecycle(ref, "instance-console-reset");
}

std::vector<std::string> Manager::logs(const InstanceRef& ref) const {
    (void)load(ref);
    const auto dir = log_dir(ref);
    std::vector<std::string> out;
    for (auto& name : dir.list())
        if (can_be_read(name) && S_ISREG(dir.stat(name).st_mode)) out.push_back(std::move(name));
    return out;
}

int Manager::open_log(const InstanceRef& ref, const std::string& name) const {
    (void)load(ref);
    names::check_log_file(name);
    auto file = log_dir(ref).open_file(name, O_RDONLY | O_CLOEXEC);
    s_.events.lifecycle(ref.project, "instance-log-retrieved", log_source(ref, name));
    return file.release();
}

void Manager::remove_log(const InstanceRef& ref, const std::string& name) {
    (void)load(ref);
    names::check_log_file(name);
    if (name == "lxc.log" || name == "lxc.conf")
        throw Error{ErrorCode::InvalidArgument, "lxc.log and lxc.conf may not be deleted"};
    const auto dir = log_dir(ref);
    (void)dir.stat(name);
    dir.remove(name);
    s_.events.lifecycle(ref.project, "instance-log-deleted", log_source(ref, name));
}

/// Calls @p use with the guest if it runs, else with its root on disk and the ids there.
template <typename Use>
auto Manager::with_files(const InstanceRef& ref, Use&& use) const {
    const auto instance = load(ref);
    const auto guest = running_guest(instance);
    if (guest) return use(guest, nullptr, IdMap{});
    const auto volume = s_.storage.open_instance(ref.project, ref.name);
    const auto root = volume.dir.dir("rootfs");
    return use(guest, &root, disk_idmap(instance));
}

InstanceFile Manager::pull_file(const InstanceRef& ref, const std::string& path, bool head_only) const {
    return with_files(ref, [&](const auto& guest, const Dir* root, const IdMap& map) {
        return guests_->pull(ref, guest, root, map, path, head_only);
    });
}

void Manager::push_file(const InstanceRef& ref, const InstanceFilePush& push) {
    with_files(
        ref, [&](const auto& guest, const Dir* root, const IdMap& map) { guests_->push(ref, guest, root, map, push); });
}

void Manager::remove_file(const InstanceRef& ref, const std::string& path) {
    with_files(ref, [&](const auto& guest, const Dir* root, const IdMap& map) {
        guests_->remove(ref, guest, root, map, path);
    });
}

std::shared_ptr<const int> Manager::sftp(const InstanceRef& ref) {
    return with_files(ref, [&](const auto& guest, const Dir* root, const IdMap& map) {
        return guests_->sftp(ref, guest, root, map);
    });
}

} // namespace lxdcore::instance
