// SPDX-License-Identifier: Apache-2.0
// User-mode Linux keeps the registers of a program in a buffer that ends before the largest set of newer processors
// (AMX), which the kernel of the host takes as a whole or not at all. This is loaded before its C library, and sees to
// the rest.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

static long (*next)(enum __ptrace_request, ...);

__attribute__((constructor)) static void find_next(void) {
    next = (long (*)(enum __ptrace_request, ...))dlsym(RTLD_NEXT, "ptrace");
}

long ptrace(enum __ptrace_request request, ...) {
    static char whole[1 << 16]; // one processor, and small stacks
    va_list arguments;
    va_start(arguments, request);
    const int pid = va_arg(arguments, int);
    void *address = va_arg(arguments, void*), *data = va_arg(arguments, void*);
    va_end(arguments);
    const int set = request == PTRACE_SETREGSET, get = request == PTRACE_GETREGSET;
    if ((!set && !get) || address != (void*)NT_X86_XSTATE) return next(request, pid, address, data);
    struct iovec *part = data, all = {whole, sizeof whole};
    if (set) {
        memset(whole, 0, sizeof whole);
        memcpy(whole, part->iov_base, part->iov_len);
    }
    const long result = next(request, pid, address, &all);
    if (get && result == 0) {
        if (all.iov_len < part->iov_len) part->iov_len = all.iov_len;
        memcpy(part->iov_base, whole, part->iov_len);
    }
    return result;
}
