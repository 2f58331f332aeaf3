// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace lxdcore::helper {

/// A shared library loaded by the verb that needs it, so that the others start without its cost. Load it before
/// entering a guest (R10). Never unloaded: the process ends with the verb.
///
///     struct Liblxc : Library {
///         Liblxc() : Library{"liblxc.so.1"} {}
///         LXDCORE_SYMBOL(lxc_container_new);
///     };
class Library {
public:
    explicit Library(const char* soname); ///< @throws Error Unsupported with the loader's text
protected:
    void* address(const char* symbol) const; ///< @throws Error Unsupported

private:
    void* handle_;
};

/// A member that holds the address of the C function @p name, whose header is included.
#define LXDCORE_SYMBOL(name) decltype(&::name) const name = reinterpret_cast<decltype(&::name)>(address(#name))

} // namespace lxdcore::helper
