// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>

namespace lxdcore::test {

/// Answers quotactl_fd(2) for one thread, on kernels that were built without quotas: project numbers of files are the
/// filesystem's own, and what a project takes is what its files take. Limits are kept but not enforced.
class QuotaKernel {
public:
    explicit QuotaKernel(std::filesystem::path filesystem) : filesystem_{std::move(filesystem)} {}
    /// Runs @p body in a thread whose calls are answered here; rethrows what it throws.
    void serve(const std::function<void()>& body);
    std::map<std::uint32_t, std::uint64_t> limits; ///< bytes, as they were set last
    bool old = false;                              ///< without file_getattr(2), as before Linux 6.17

private:
    long answer(unsigned command, std::uint32_t number, void* data);
    std::uint64_t space_of(std::uint32_t number) const;

    std::filesystem::path filesystem_;
};

/// The project number of a file or directory.
std::uint32_t project_number(const std::filesystem::path& path);

} // namespace lxdcore::test
