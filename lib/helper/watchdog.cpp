// SPDX-License-Identifier: Apache-2.0
#include "helper/watchdog.hpp"

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <new>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include <lxdcore/error.hpp>

#include "helper/reply.hpp"
#include "util/unique_fd.hpp"

namespace lxdcore::helper {

struct Watchdog::Shared {
    std::atomic<std::uint64_t> beats{1};
    std::atomic<bool> paused{false};
};

namespace {

[[noreturn]] void run_child(Watchdog& dog, Reply& reply, const std::function<void(Watchdog&)>& work) noexcept {
    int code = 1;
    try {
        work(dog);
        if (!reply.answered()) reply.line({{"ok", true}});
        code = 0;
    } catch (const Error& error) {
        reply.error(error.code(), error.what());
    } catch (const std::exception& error) {
        reply.error(ErrorCode::Internal, error.what());
    }
    ::_exit(code);
}

} // namespace

Watchdog::Watchdog(std::chrono::seconds patience) : patience_{patience} {
    void* const page = ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) throw_errno("mmap");
    shared_ = new (page) Shared;
}

void Watchdog::beat() noexcept {
    shared_->paused.store(false, std::memory_order_relaxed);
    shared_->beats.fetch_add(1, std::memory_order_relaxed);
}

void Watchdog::pause() noexcept { shared_->paused.store(true, std::memory_order_relaxed); }

void Watchdog::guard(Reply& reply, const std::function<void(Watchdog&)>& work) {
    const pid_t parent = ::getpid();
    const pid_t child = ::fork();
    if (child < 0) throw_errno("fork");
    if (child == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (::getppid() != parent) ::_exit(1);
        run_child(*this, reply, work);
    }
    reply.leave(); // the child answers
    ::close_range(5, ~0u, 0);
    const UniqueFd pidfd{static_cast<int>(::syscall(SYS_pidfd_open, child, 0))};
    if (!pidfd) throw_errno("pidfd_open");
    pollfd wait{pidfd.get(), POLLIN, 0};
    std::uint64_t seen = 0;
    for (;;) {
        const int ready = ::poll(&wait, 1, static_cast<int>(std::chrono::milliseconds{patience_}.count()));
        if (ready > 0) {
            ::waitpid(child, nullptr, 0);
            return;
        }
        const auto beats = shared_->beats.load(std::memory_order_relaxed);
        if (ready < 0 || beats != seen || shared_->paused.load(std::memory_order_relaxed)) {
            seen = beats;
            continue;
        }
        ::kill(child, SIGKILL);
        throw Error{ErrorCode::Internal, "Timed out waiting for a file system of the instance"};
    }
}

} // namespace lxdcore::helper
