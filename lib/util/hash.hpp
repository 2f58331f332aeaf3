// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <string>

namespace lxdcore {

/// SHA-256 of what passes by. Thread-bound.
class Sha256 {
public:
    Sha256();
    ~Sha256();
    void update(const void* data, std::size_t size);
    std::string hex(); ///< once, at the end

private:
    struct Context;
    std::unique_ptr<Context> context_;
};

} // namespace lxdcore
