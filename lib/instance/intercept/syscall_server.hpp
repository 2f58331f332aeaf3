// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include <lxdcore/log.hpp>
#include <lxdcore/service/instance_service.hpp>

#include "instance/intercept/syscall_call.hpp"
#include "util/helper_program.hpp"
#include "util/unique_fd.hpp"

namespace lxdcore::instance {

/// Answers intercepted system calls of guests (seccomp_unotify(2)). They come from liblxc's monitors, which forward
/// them to a socket, and from commands that we run in a guest, whose listeners are ours. A call that is not carried out
/// goes on in the kernel as if nobody had asked. One thread for each monitor and listener. Thread-safe.
class SyscallServer {
public:
    /// The guest and what is done for it at this moment. @throws NotFound
    using Rules = std::function<InterceptedGuest(const InstanceRef&)>;
    /// Runs a command in an instance and gives its exit code. @throws Error
    using Run = std::function<int(const InstanceRef&, std::vector<std::string> command)>;
    SyscallServer(const HelperProgram& helper, const Logger& log, Rules rules, Run run);
    ~SyscallServer(); ///< ends all threads; the kernel answers ENOSYS to those who wait, liblxc's monitors try again

    /// Takes connections of monitors at @p path, where nothing may be yet. @throws Error
    void listen(const std::string& path);
    /// Serves one listener until nobody uses its filter any more. @p init_pid is that of the instance's init.
    void serve(const InstanceRef& ref, int init_pid, UniqueFd listener);

    /// What a monitor has to send with each call (lxc.seccomp.notify.cookie).
    static std::string cookie(const InstanceRef& ref);

private:
    void start(std::function<void()> work);
    bool wait_for(int fd) const; ///< false: the server ends or the other side has gone
    void accept_all(int socket);
    void serve_monitor(int socket);
    void serve_listener(const InstanceRef& ref, int init_pid, int listener);
    SyscallContext context(const InstanceRef& ref, int init_pid) const;

    const HelperProgram& helper_;
    const Logger& log_;
    const Rules rules_;
    const Run run_;
    UniqueFd stop_; ///< readable: all threads end
    std::atomic<bool> stopping_ = false;
    std::mutex mutex_;
    std::condition_variable idle_;
    int threads_ = 0;
};

} // namespace lxdcore::instance
