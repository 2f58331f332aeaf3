// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "util/dir.hpp"

namespace lxdcore::instance {

/// Profiles in a directory, given to the kernel by a program that is called as apparmor_parser is. Reentrant.
class ApparmorLoader {
public:
    ApparmorLoader(Dir profiles, std::string parser) : profiles_{std::move(profiles)}, parser_{std::move(parser)} {}
    /// The parser's opinion, without the kernel. @throws Error Internal with its words
    void check(const std::string& text) const;
    void load(const std::string& file, const std::string& text) const; ///< also in place of an older one. @throws Error
    void unload(const std::string& file) const; ///< what the kernel does not know any more is no error

private:
    Dir profiles_;
    std::string parser_;
};

/// Why this host cannot confine by profiles, in LXD's words; "" where it can.
std::string apparmor_problem();
inline constexpr const char* kApparmorParser = "apparmor_parser";

} // namespace lxdcore::instance
