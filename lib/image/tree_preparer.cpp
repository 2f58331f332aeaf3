// SPDX-License-Identifier: Apache-2.0
#include "image/tree_preparer.hpp"

#include <algorithm>
#include <exception>
#include <utility>

#include <nlohmann/json.hpp>

#include <lxdcore/error.hpp>
#include <lxdcore/operation.hpp>

namespace lxdcore::image {

namespace {

/// Work that no client sees.
class Unseen final : public OperationContext {
public:
    explicit Unseen(std::stop_token stop) : stop_{std::move(stop)} {}
    std::stop_token stop_token() const override { return stop_; }
    void update_metadata(const nlohmann::json&) override {}
    void set_progress(const std::string&, const std::string&) override {}
    void refuse_cancel_from_here() override {}
    void throw_if_cancelled() const override {
        if (stop_.stop_requested()) throw Error{ErrorCode::Cancelled, "Operation cancelled"};
    }

private:
    std::stop_token stop_;
};

} // namespace

TreePreparer::~TreePreparer() {
    {
        const auto state = state_.lock();
        state->ended = true;
        for (auto& job : state->jobs)
            job.stop.request_stop();
        changed_.notify_all();
    }
    if (thread_.joinable()) thread_.join();
}

void TreePreparer::add(const std::string& pool, const std::string& fingerprint, storage::VolumeFiller filler) {
    const auto state = state_.lock();
    state->jobs.push_back({.pool = pool, .fingerprint = fingerprint, .filler = std::move(filler)});
    if (state->busy) return;
    if (thread_.joinable()) thread_.join(); // it has let go of the lock for the last time
    state->busy = true;
    thread_ = std::thread{[this] { work(); }};
}

void TreePreparer::cancel(const std::string& fingerprint) {
    const auto same = [&](const Job& job) { return job.fingerprint == fingerprint; };
    auto state = state_.lock();
    auto& jobs = state->jobs;
    if (jobs.empty()) return;
    jobs.erase(std::remove_if(jobs.begin() + 1, jobs.end(), same), jobs.end());
    if (same(jobs.front())) {
        jobs.front().cancelled = true;
        jobs.front().stop.request_stop();
        changed_.notify_all();
    }
    changed_.wait(state.lock(), [&] { return std::none_of(state->jobs.begin(), state->jobs.end(), same); });
}

void TreePreparer::give_way(int change) {
    const auto state = state_.lock();
    state->waiting += change;
    if (change > 0 && !state->jobs.empty()) state->jobs.front().stop.request_stop();
    changed_.notify_all();
}

void TreePreparer::work() {
    auto state = state_.lock();
    while (!state->jobs.empty() && !state->ended) {
        if (!state->jobs.front().cancelled) {
            if (state->waiting > 0) {
                changed_.wait(state.lock());
                continue;
            }
            const auto job = state->jobs.front();
            state.lock().unlock();
            prepare(job);
            state.lock().lock();
        }
        auto& front = state->jobs.front();
        if (front.stop.stop_requested() && !front.cancelled)
            front.stop = {}; // it has given way
        else
            state->jobs.pop_front();
        changed_.notify_all();
    }
    state->busy = false;
}

void TreePreparer::prepare(const Job& job) const {
    Unseen context{job.stop.get_token()};
    if (job.stop.stop_requested()) return;
    try {
        storage_.ensure_image(job.pool, job.fingerprint, job.filler, context);
    } catch (const std::exception& error) { // whoever needs the tree tries again, and is told
        if (job.stop.stop_requested()) return;
        log_.warning("Failed to unpack a new image",
                     {{"image", job.fingerprint}, {"pool", job.pool}, {"err", error.what()}});
    }
}

} // namespace lxdcore::image
