// SPDX-License-Identifier: Apache-2.0
#include "storage/copy_progress.hpp"

#include <condition_variable>
#include <mutex>
#include <utility>

#include <fmt/format.h>

#include <lxdcore/error.hpp>

#include "operation/progress.hpp"

namespace lxdcore::storage {

namespace {
constexpr std::chrono::seconds kTellEvery{1};
}

CopyProgress::CopyProgress(OperationContext& op, std::string volume)
    : op_{op}, volume_{std::move(volume)}, teller_{[this](const std::stop_token& end) { run(end); }} {}

void CopyProgress::run(const std::stop_token& end) {
    std::mutex mutex;
    std::condition_variable_any wake;
    std::unique_lock lock{mutex};
    while (!wake.wait_for(lock, end, kTellEvery, [&] { return end.stop_requested(); }) && !end.stop_requested()) {
        const auto bytes = static_cast<double>(copied_.load());
        if (bytes <= 0) continue;
        const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begun_;
        try {
            op_.set_progress("fs_progress", fmt::format("{}: {} ({}/s)", volume_, progress_size(bytes),
                                                        progress_size(bytes / spent.count())));
        } catch (const std::exception&) { // the operation goes on without
        }
    }
}

} // namespace lxdcore::storage
