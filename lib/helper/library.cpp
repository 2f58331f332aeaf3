// SPDX-License-Identifier: Apache-2.0
#include "helper/library.hpp"

#include <dlfcn.h>

#include <lxdcore/error.hpp>

namespace lxdcore::helper {

Library::Library(const char* soname) : handle_{::dlopen(soname, RTLD_NOW | RTLD_LOCAL)} {
    if (handle_ == nullptr) throw Error{ErrorCode::Unsupported, ::dlerror()};
}

void* Library::address(const char* symbol) const {
    void* const found = ::dlsym(handle_, symbol);
    if (found == nullptr) throw Error{ErrorCode::Unsupported, ::dlerror()};
    return found;
}

} // namespace lxdcore::helper
