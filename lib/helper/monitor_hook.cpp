// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <unistd.h>

#include <cstdarg>
#include <cstdlib>
#include <string_view>
#include <vector>

namespace {

/// What liblxc puts before a hook, and what lxc.hook.post-stop holds before the path of the mark, see
/// instance/lxc/lxc_config.cpp.
constexpr std::string_view kEnded = "exec lxdcore:ended ";

/// Failing keeps liblxc from restarting the guest by itself, which would know nothing of the configuration and devices
/// of now; the mark tells the daemon to do it.
int ended(const char* mark) {
    const char* target = std::getenv("LXC_TARGET");
    if (target == nullptr || std::string_view{target} != "reboot") return 0;
    ::close(::open(mark, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    return 1;
}

} // namespace

/// liblxc gives each hook to `sh -c` in a child of the monitor, and calls this instead of libc's because the program
/// comes first in the order of symbols. Our own hook needs neither a shell nor another program (R6), and works when
/// this binary has been replaced or removed since (R47).
extern "C" __attribute__((visibility("default"))) int execl(const char* path, const char* arg, ...) {
    std::vector<char*> argv{const_cast<char*>(arg)};
    va_list rest;
    va_start(rest, arg);
    while (argv.back() != nullptr)
        argv.push_back(va_arg(rest, char*));
    va_end(rest);
    const std::string_view command = argv.size() == 4 ? argv[2] : "";
    if (command.starts_with(kEnded)) ::_exit(ended(command.data() + kEnded.size()));
    // Hooks that an administrator has set: they find programs, which liblxc itself must not, see verb_start.cpp.
    ::setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
    return ::execv(path, argv.data());
}
