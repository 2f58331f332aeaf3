// SPDX-License-Identifier: Apache-2.0
// What sanitizers are told. Compiled in, because helpers are given no environment; what is in the environment wins.
#include <fcntl.h>
#include <unistd.h>

#include <string>

#include "sanitizer_log.hpp"

#define TO_LOG "log_path=" LXDCORE_SANITIZER_LOG ":abort_on_error=1"

// clang-format off
#define DEFAULTS(name, text) \
    extern "C" __attribute__((visibility("default"))) const char* __##name##_default_options() { return text; }
// clang-format on

// Helpers end with their work; leaks are looked for where the environment asks for it: in daemons and tests.
DEFAULTS(asan, TO_LOG ":detect_leaks=0:verify_asan_link_order=0")
DEFAULTS(ubsan, TO_LOG ":halt_on_error=1:print_stacktrace=1")
DEFAULTS(tsan, TO_LOG ":halt_on_error=0:second_deadlock_stack=1")

/// Beside libasan, GCC's libubsan loses its log_path and writes to standard error. Called before a report is written;
/// the process ends after it.
extern "C" __attribute__((visibility("default"))) void __ubsan_on_report() {
    const auto path = LXDCORE_SANITIZER_LOG "." + std::to_string(::getpid());
    ::dup2(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640), STDERR_FILENO);
}
