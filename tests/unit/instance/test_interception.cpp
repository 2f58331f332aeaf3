// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "instance/intercept/interception.hpp"
#include "instance/intercept/syscall_call.hpp"
#include "instance/lxc/seccomp_filter.hpp"
#include "instance/lxc/seccomp_profile.hpp"

using namespace lxdcore;
using namespace lxdcore::instance;

namespace {

api::StringMap with(std::initializer_list<std::pair<const char*, const char*>> keys) {
    api::StringMap config;
    for (const auto& [key, value] : keys)
        config[std::string{"security.syscalls.intercept."} + key] = value;
    return config;
}

bool has(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

} // namespace

TEST_CASE("nothing is asked for unless a key says so") {
    CHECK(notify_rules(interception_of({})).empty());
    CHECK(notify_rules(interception_of(with({{"mknod", "false"}, {"mount.allowed", "ext4"}}))).empty());
    CHECK_FALSE(asks_about_calls(seccomp_profile({})));
}

TEST_CASE("each key asks for its own calls, and only for what could be carried out") {
    const auto mknod = notify_rules(interception_of(with({{"mknod", "true"}})));
    CHECK(has(mknod, "mknod notify [1,8192,SCMP_CMP_MASKED_EQ,61440]\n"));
    CHECK(has(mknod, "mknodat notify [2,8192,SCMP_CMP_MASKED_EQ,61440]\n"));
    CHECK_FALSE(has(mknod, "mount"));
    CHECK(has(notify_rules(interception_of(with({{"setxattr", "true"}}))), "setxattr notify [3,1,SCMP_CMP_EQ]\n"));
    CHECK(has(notify_rules(interception_of(with({{"sched_setscheduler", "true"}}))), "sched_setscheduler notify\n"));
    const auto mount = notify_rules(interception_of(with({{"mount", "true"}})));
    CHECK(has(mount, "mount notify [3,0,SCMP_CMP_MASKED_EQ,"));
    CHECK(has(mount, "fsopen errno 38\n"));
}

TEST_CASE("the rules are part of every policy but a raw one, and can be compiled") {
    for (auto [key, value] : {std::pair{"user.x", "y"},
                              {"security.syscalls.deny_default", "false"},
                              {"security.syscalls.deny", "swapon"},
                              {"security.syscalls.deny_compat", "true"},
                              {"security.syscalls.allow", "read\nwrite"}}) {
        auto config = with({{"mknod", "true"}, {"mount", "true"}, {"setxattr", "true"}});
        config[key] = value;
        CAPTURE(key);
        const auto policy = seccomp_profile(config);
        CHECK(asks_about_calls(policy));
        CHECK_FALSE(seccomp_bpf(policy).empty());
    }
    auto config = with({{"mknod", "true"}});
    config["raw.seccomp"] = "2\ndenylist\n[all]\nswapon errno 1\n";
    CHECK(seccomp_profile(config) == config["raw.seccomp"]);
}

TEST_CASE("filesystems are a list with commas") {
    const auto rules =
        interception_of(with({{"mount", "true"}, {"mount.allowed", "ext4, xfs,,"}, {"mount.shift", "1"}}));
    CHECK(rules.filesystems == std::set<std::string>{"ext4", "xfs"});
    CHECK(rules.shift);
}

TEST_CASE("an answer is a value, an error or the kernel's own business") {
    seccomp_notif call{};
    call.id = 7;
    const auto proceed = response_to(call, {});
    CHECK(proceed.id == 7);
    CHECK(proceed.flags == SECCOMP_USER_NOTIF_FLAG_CONTINUE);
    const auto failed = response_to(call, {.proceed = false, .value = 3, .error = ENOENT});
    CHECK(failed.error == -ENOENT);
    CHECK(failed.val == 0);
    CHECK(failed.flags == 0);
    const auto done = response_to(call, {.proceed = false, .value = 3, .error = 0});
    CHECK(done.val == 3);
    CHECK(done.error == 0);
}
