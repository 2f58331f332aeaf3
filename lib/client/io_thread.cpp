// SPDX-License-Identifier: Apache-2.0
#include "client/io_thread.hpp"

#include <pthread.h>
#include <unistd.h>

#include <csignal>

namespace lxdcore::client {

IoThread::IoThread() : process_{::getpid()} {}

IoThread::~IoThread() { stop(); }

bool IoThread::ours() const noexcept { return ::getpid() == process_; }

void IoThread::require_usable() {
    if (!ours()) throw Error{ErrorCode::BadState, "A client cannot be used in a child process; make another one"};
    if (here()) throw Error{ErrorCode::BadState, "A callback of the client cannot wait for the client"};
    start();
}

void IoThread::start() {
    const std::lock_guard lock{starting_};
    if (thread_.joinable()) return;
    // Signals belong to the program's own threads.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    try {
        thread_ = std::thread{[this] {
            id_ = std::this_thread::get_id();
            pthread_setname_np(pthread_self(), "lxdcore-client");
            io_.run();
        }};
    } catch (...) {
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
        throw;
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void IoThread::stop() {
    if (!thread_.joinable()) return;
    if (!ours()) { // the thread was not copied by fork()
        thread_.detach();
        return;
    }
    guard_.reset();
    io_.stop();
    thread_.join();
}

} // namespace lxdcore::client
