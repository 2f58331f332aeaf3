// SPDX-License-Identifier: Apache-2.0
// Calls of a Core, for tests/bench/python to compare with: microseconds of each, the median of runs.
//   core_calls STATE_DIR HELPER
#include <lxdcore/core.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <vector>

using namespace lxdcore;

namespace {

template <class Call>
double microseconds(Call&& call) {
    using Clock = std::chrono::steady_clock;
    constexpr int kRuns = 20, kCalls = 200;
    std::vector<double> runs;
    for (int run = 0; run < kRuns; ++run) {
        const auto began = Clock::now();
        for (int i = 0; i < kCalls; ++i)
            call();
        runs.push_back(std::chrono::duration<double, std::micro>(Clock::now() - began).count() / kCalls);
    }
    std::nth_element(runs.begin(), runs.begin() + kRuns / 2, runs.end());
    return runs[kRuns / 2];
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 3) return 2;
    try {
        CoreOptions options;
        options.state_dir = argv[1];
        options.helper = argv[2];
        Core core{options};
        std::printf("%f %f\n", microseconds([&] { (void)core.profiles().names("default"); }),
                    microseconds([&] { (void)core.profiles().get("default", "default"); }));
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
