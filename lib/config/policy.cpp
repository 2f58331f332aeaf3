// SPDX-License-Identifier: Apache-2.0
#include "config/policy.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include <lxdcore/caller.hpp>
#include <lxdcore/error.hpp>

namespace lxdcore::config {

namespace {

bool reaches_out(std::string_view key) {
    constexpr std::array kPrefixes{std::string_view{"raw."}, std::string_view{"linux.kernel_modules"},
                                   std::string_view{"security.devlxd.images"}, std::string_view{"security.idmap.base"},
                                   std::string_view{"security.syscalls.intercept."}};
    return std::any_of(kPrefixes.begin(), kPrefixes.end(), [&](auto prefix) { return key.starts_with(prefix); });
}

} // namespace

void check_policy(const api::StringMap& before, const api::StringMap& after) {
    if (CallerScope::current().admin) return;
    const auto same = [](const api::StringMap& wanted, const api::StringMap& given) {
        return std::all_of(wanted.begin(), wanted.end(), [&](const auto& entry) {
            if (!reaches_out(entry.first)) return true;
            const auto it = given.find(entry.first);
            return entry.second == (it == given.end() ? std::string{} : it->second);
        });
    };
    if (!same(after, before) || !same(before, after)) throw Error{ErrorCode::Forbidden, "not authorized"};
}

} // namespace lxdcore::config
