// SPDX-License-Identifier: Apache-2.0
// Lists the instances of a server, or runs a command in one of them with our own streams.
//   remote_client URL [CERTIFICATE KEY SERVER_CERTIFICATE] [-- INSTANCE COMMAND…]
// URL is the path of a unix socket, or https://host:8443, which wants the certificates.
#include <lxdcore/client.hpp>

#include <cstdio>
#include <cstring>
#include <exception>
#include <string>
#include <unistd.h>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

using namespace lxdcore;

namespace {

int list(Client& client) {
    client.instances().each("default", true, [](const api::Instance& instance, const api::InstanceState* state) {
        std::string address;
        if (state != nullptr && state->network)
            for (const auto& [name, network] : *state->network)
                for (const auto& entry : network.addresses)
                    if (entry.family == "inet" && entry.scope == "global") address = entry.address;
        std::printf("%-20s %-10s %s\n", instance.name.c_str(), instance.status.c_str(), address.c_str());
    });
    return 0;
}

int run(Client& client, const std::string& instance, std::vector<std::string> command) {
    api::InstanceExecPost exec;
    exec.command = std::move(command);
    const auto operation = client.instances().exec({"default", instance}, exec,
                                                   {.in = STDIN_FILENO, .out = STDOUT_FILENO, .err = STDERR_FILENO});
    return operation->result().value("return", 1);
}

} // namespace

int main(int argc, char** argv) {
    std::vector<std::string> before, after;
    auto* list_of = &before;
    for (int i = 1; i < argc; ++i) {
        if (std::strcmp(argv[i], "--") == 0 && list_of == &before)
            list_of = &after;
        else
            list_of->push_back(argv[i]);
    }
    if ((before.size() != 1 && before.size() != 4) || after.size() == 1) {
        std::fprintf(stderr, "usage: %s URL [CERTIFICATE KEY SERVER_CERTIFICATE] [-- INSTANCE COMMAND...]\n", argv[0]);
        return 2;
    }
    try {
        ClientOptions options;
        options.url = before[0];
        if (before.size() == 4) {
            options.certificate = before[1];
            options.key = before[2];
            options.server_certificate = before[3];
        }
        Client client{options};
        return after.empty() ? list(client) : run(client, after[0], {after.begin() + 1, after.end()});
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s: %s\n", argv[0], error.what());
        return 1;
    }
}
