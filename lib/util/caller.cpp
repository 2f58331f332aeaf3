// SPDX-License-Identifier: Apache-2.0
#include <lxdcore/caller.hpp>

#include <utility>

namespace lxdcore {

namespace {

// The only thread-local of the library: who is asking is a property of the thread that serves the request.
thread_local const Caller* innermost = nullptr;

} // namespace

CallerScope::CallerScope(Caller caller) : outer_{innermost}, caller_{std::move(caller)} { innermost = &caller_; }

CallerScope::~CallerScope() { innermost = outer_; }

const Caller& CallerScope::current() {
    static const Caller internal{};
    return innermost != nullptr ? *innermost : internal;
}

bool CallerScope::present() { return innermost != nullptr; }

} // namespace lxdcore
