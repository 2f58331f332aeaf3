// SPDX-License-Identifier: Apache-2.0
// Preloaded into a daemon (LD_PRELOAD): its wall clock is off by the seconds in the file that CLOCK_JUMP_FILE names, a
// 64-bit number, from the moment it is written there. The monotonic clocks stay as they are.
#include <cstdint>
#include <cstdlib>
#include <ctime>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

namespace {

const volatile std::int64_t* seconds = nullptr;

__attribute__((constructor)) void map_file() {
    const char* path = std::getenv("CLOCK_JUMP_FILE");
    const int fd = path ? ::open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) return;
    void* page = ::mmap(nullptr, sizeof *seconds, PROT_READ, MAP_SHARED, fd, 0);
    ::close(fd);
    if (page != MAP_FAILED) seconds = static_cast<const std::int64_t*>(page);
}

} // namespace

extern "C" {

__attribute__((visibility("default"))) int clock_gettime(clockid_t clock, timespec* out) noexcept {
    const auto result = static_cast<int>(::syscall(SYS_clock_gettime, clock, out));
    if (result == 0 && seconds && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) out->tv_sec += *seconds;
    return result;
}

__attribute__((visibility("default"))) int gettimeofday(timeval* out, void*) noexcept {
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    *out = {.tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000};
    return 0;
}

__attribute__((visibility("default"))) time_t time(time_t* out) noexcept {
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    if (out) *out = now.tv_sec;
    return now.tv_sec;
}
}
