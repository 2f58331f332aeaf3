// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "util/process.hpp"

namespace lxdcore::test {

/// A filesystem in a sparse file, mounted on a directory beside it; unmounted at the end, whatever is mounted in it.
class LoopMount {
public:
    /// @p mkfs gets the file as its last argument. @throws Error where this kernel cannot mount it
    LoopMount(const std::filesystem::path& beside, std::uintmax_t size, std::vector<std::string> mkfs,
              const std::string& options = {})
        : path_{beside.string() + ".mnt"} {
        run_checked({"truncate", "-s", std::to_string(size), beside.string()});
        mkfs.push_back(beside.string());
        run_checked(mkfs);
        std::filesystem::create_directories(path_);
        run_checked({"mount", "-o", options.empty() ? "loop" : "loop," + options, beside.string(), path_.string()});
    }
    LoopMount(LoopMount&& other) noexcept : path_{std::exchange(other.path_, {})} {}
    LoopMount& operator=(LoopMount&&) = delete;
    ~LoopMount() {
        if (path_.empty()) return;
        try {
            run({"umount", "--recursive", "--lazy", path_.string()});
        } catch (...) { // the scratch folder's own removal then says so
        }
    }
    const std::filesystem::path& path() const noexcept { return path_; }
    std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

private:
    std::filesystem::path path_;
};

} // namespace lxdcore::test
