// SPDX-License-Identifier: Apache-2.0
#include "memory.hpp"

#include <link.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>

namespace lxdcore::daemon {

namespace {

/// Read-only segments are never written, not by the dynamic linker either: the file has all that is in them.
int drop_code(dl_phdr_info* object, std::size_t, void* page_size) {
    const auto page = *static_cast<const std::uintptr_t*>(page_size);
    for (int i = 0; i < object->dlpi_phnum; ++i) {
        const auto& segment = object->dlpi_phdr[i];
        if (segment.p_type != PT_LOAD || (segment.p_flags & PF_W) != 0) continue;
        const auto first = (object->dlpi_addr + segment.p_vaddr) & ~(page - 1);
        const auto end = object->dlpi_addr + segment.p_vaddr + segment.p_memsz;
        ::madvise(reinterpret_cast<void*>(first), end - first, MADV_DONTNEED); // the kernel's own object refuses
    }
    return 0;
}

} // namespace

void give_back_memory() noexcept {
    ::malloc_trim(0);
    auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
    ::dl_iterate_phdr(drop_code, &page);
}

} // namespace lxdcore::daemon
