// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <memory>

#include <lxdcore/error.hpp>

namespace lxdcore::python {

/// A descriptor of our own for a caller's file, closed with the last copy.
inline std::shared_ptr<int> own_descriptor(int fd) {
    const int own = ::fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (own < 0) throw_errno("dup");
    return std::shared_ptr<int>{new int{own}, [](int* held) {
                                    ::close(*held);
                                    delete held;
                                }};
}

} // namespace lxdcore::python
