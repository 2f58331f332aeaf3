// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <deque>
#include <stop_token>
#include <string>
#include <thread>

#include <lxdcore/log.hpp>

#include "storage/storage_manager.hpp"
#include "util/locked.hpp"

namespace lxdcore::image {

/// Unpacks new images into the pool where their first instance will probably be, so that it finds the tree or has less
/// to wait for. One after another, in a thread that ends when nothing is left. Thread-safe.
class TreePreparer {
public:
    TreePreparer(storage::StorageManager& storage, const Logger& log) : storage_{storage}, log_{log} {}
    ~TreePreparer(); ///< what is not done yet is left undone
    TreePreparer(const TreePreparer&) = delete;
    TreePreparer& operator=(const TreePreparer&) = delete;

    void add(const std::string& pool, const std::string& fingerprint, storage::VolumeFiller filler);
    /// The image is not being unpacked any more, and will not be, when this returns.
    void cancel(const std::string& fingerprint);

    /// Somebody waits for a tree: what is only expected to be needed gives way, and begins anew when this ends.
    class Precedence {
    public:
        explicit Precedence(TreePreparer& over) : over_{over} { over_.give_way(1); }
        ~Precedence() { over_.give_way(-1); }
        Precedence(const Precedence&) = delete;
        Precedence& operator=(const Precedence&) = delete;

    private:
        TreePreparer& over_;
    };

private:
    struct Job {
        std::string pool, fingerprint;
        storage::VolumeFiller filler;
        std::stop_source stop;
        bool cancelled = false;
    };
    struct State {
        std::deque<Job> jobs; ///< the first one is being done, or has given way, while there is a thread
        int waiting = 0;      ///< who has precedence
        bool busy = false;    ///< there is a thread
        bool ended = false;
    };
    void give_way(int change);
    void work();
    void prepare(const Job& job) const;

    storage::StorageManager& storage_;
    const Logger& log_;
    Locked<State> state_;
    std::condition_variable changed_;
    std::thread thread_; ///< started and joined under the lock of the state, or by the destructor
};

} // namespace lxdcore::image
