// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "util/process.hpp"

namespace lxdcore {

/// lxdcore-helper, read once into a sealed memfd, so that a container can never write to it and an upgrade of the
/// package does not change it under a running daemon (R11). Thread-safe.
///
/// Protocol: argv is {"lxdcore-helper", verb} and, if its soft RLIMIT_NOFILE is to be another, that; descriptor 3 is
/// the request (JSON, a sealed memfd read to its end), descriptor 4 the reply (a pipe: one JSON line {"ok":true,…} or
/// {"ok":false,"error":text,"code":"NotFound"…}; some verbs write several lines). Further descriptors as the verb says,
/// from 5 on. 0, 1, 2 as the verb says.
class HelperProgram {
public:
    /// @p file_limit: soft RLIMIT_NOFILE of the helper and what it starts; 0: ours. @throws NotFound with what to
    /// install or set
    explicit HelperProgram(const std::filesystem::path& path, std::uint64_t file_limit = 0);

    /// Where the program lies, absolute: for hooks that liblxc runs.
    const std::filesystem::path& path() const noexcept { return path_; }

    struct Running {
        Process process;
        UniqueFd reply; ///< reading end of descriptor 4
    };
    /// @p fds: (ours, theirs) beside 3 and 4.
    Running start(const std::string& verb, const nlohmann::json& request,
                  const std::vector<std::pair<int, int>>& fds = {}, bool new_session = false) const;
    /// Runs to the end and gives the first reply line. A reply {"ok":false} becomes the Error it names; death, garbage
    /// or the timeout become Error Internal. @p keep_on is asked several times a second; what it throws, ends the
    /// helper and the call.
    nlohmann::json call(const std::string& verb, const nlohmann::json& request,
                        const std::vector<std::pair<int, int>>& fds = {},
                        std::chrono::milliseconds timeout = std::chrono::seconds{60},
                        const std::function<void()>& keep_on = {}) const;

private:
    std::filesystem::path path_;
    UniqueFd image_;
    std::uint64_t file_limit_;
};

} // namespace lxdcore
