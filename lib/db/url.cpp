// SPDX-License-Identifier: Apache-2.0
#include "db/url.hpp"

#include <fmt/format.h>

namespace lxdcore::db {

std::string url_encode(std::string_view part) {
    constexpr std::string_view plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~$&+:=@";
    std::string out;
    for (const char c : part) {
        if (plain.find(c) != std::string_view::npos)
            out += c;
        else
            out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return out;
}

std::string entity_url(std::string_view kind, std::string_view name, std::string_view project) {
    auto url = fmt::format("/1.0/{}/{}", kind, url_encode(name));
    if (!project.empty() && project != "default") url += "?project=" + url_encode(project);
    return url;
}

} // namespace lxdcore::db
