// SPDX-License-Identifier: Apache-2.0
#include "instance/lxc/lxc_runtime.hpp"

#include <lxc/lxccontainer.h>

namespace lxdcore::instance {

int lxc_init_pid(const std::string& lxc_path, const std::string& name) {
    auto* container = ::lxc_container_new(name.c_str(), lxc_path.c_str());
    if (container == nullptr) return -1;
    const int pid = container->init_pid(container);
    ::lxc_container_put(container);
    return pid > 0 ? pid : -1;
}

} // namespace lxdcore::instance
