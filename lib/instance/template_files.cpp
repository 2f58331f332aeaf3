// SPDX-License-Identifier: Apache-2.0
#include "instance/template_files.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include <nlohmann/json.hpp>

#include <lxdcore/api/codec.hpp>
#include <lxdcore/error.hpp>

#include "util/names.hpp"
#include "util/text.hpp"

namespace lxdcore::instance {

namespace {

struct Owner {
    uid_t uid;
    gid_t gid;
};

std::vector<std::string> components(const std::string& path) {
    std::vector<std::string> out;
    for (auto& part : text::split(path, '/')) {
        if (part.empty() || part == ".") continue;
        if (part == ".." || names::has_control(part))
            throw Error{ErrorCode::InvalidArgument, "Invalid template target " + text::quote(path)};
        out.push_back(std::move(part));
    }
    if (out.empty()) throw Error{ErrorCode::InvalidArgument, "Invalid template target " + text::quote(path)};
    return out;
}

/// The parent of the target, made where missing. Links are the image's own, so they resolve inside the root.
Dir parent_of(const Dir& root, const std::vector<std::string>& parts, const Owner& owner) {
    std::string path;
    for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
        const auto parent = path.empty() ? root.clone() : root.dir(path, Links::InRoot);
        if (::mkdirat(parent.fd(), parts[i].c_str(), 0755) == 0) {
            const auto made = parent.dir(parts[i]);
            if (::fchown(made.fd(), owner.uid, owner.gid) != 0 || ::fchmod(made.fd(), 0755) != 0)
                throw_errno(made.path());
        }
        path += (path.empty() ? "" : "/") + parts[i];
    }
    return path.empty() ? root.clone() : root.dir(path, Links::InRoot);
}

void write_file(const Dir& root, const std::vector<std::string>& parts, const std::string& content,
                const Owner& owner) {
    const auto path = text::join(parts, "/");
    const auto parent = parent_of(root, parts, owner);
    const bool existed = parent.exists(parts.back());
    // NONBLOCK: a fifo of that name must not hold us.
    const auto fd = root.open_file(path, O_WRONLY | O_CREAT | O_NONBLOCK | O_CLOEXEC, 0644, Links::InRoot);
    struct stat info {};
    if (::fstat(fd.get(), &info) != 0) throw_errno(path);
    if (!S_ISREG(info.st_mode)) throw Error{ErrorCode::InvalidArgument, path + " is not a regular file"};
    // Our umask is for files of our own.
    if (!existed && (::fchown(fd.get(), owner.uid, owner.gid) != 0 || ::fchmod(fd.get(), 0644) != 0)) throw_errno(path);
    if (::ftruncate(fd.get(), 0) != 0) throw_errno(path);
    for (std::size_t done = 0; done < content.size();) {
        const auto n = ::write(fd.get(), content.data() + done, content.size() - done);
        if (n < 0) throw_errno(path);
        done += static_cast<std::size_t>(n);
    }
}

bool wanted(const nlohmann::json& rule, const std::string& trigger) {
    if (!rule.is_object() || !rule.contains("when") || !rule["when"].is_array()) return false;
    return std::any_of(rule["when"].begin(), rule["when"].end(), [&](const auto& when) { return when == trigger; });
}

void apply_one(const Dir& volume, const Dir& root, const std::string& target, const nlohmann::json& rule,
               TemplateContext context, const Owner& owner) {
    const auto parts = components(target);
    const bool create_only = rule.contains("create_only") && rule["create_only"].is_boolean() && rule["create_only"];
    if (create_only) {
        try {
            (void)root.open_file(text::join(parts, "/"), O_PATH | O_CLOEXEC, 0, Links::InRoot);
            return;
        } catch (const Error& error) {
            if (error.code() != ErrorCode::NotFound) throw;
        }
    }
    if (!rule.contains("template") || !rule["template"].is_string())
        throw Error{ErrorCode::InvalidArgument, "no template file named"};
    const auto name = rule["template"].get<std::string>();
    if (name.empty() || name.find('/') != std::string::npos || name == "." || name == "..")
        throw Error{ErrorCode::InvalidArgument, "Invalid template name " + text::quote(name)};
    if (rule.contains("properties") && rule["properties"].is_object())
        for (const auto& [key, value] : api::to_string_map(rule["properties"]))
            context.values["properties." + key] = value;
    context.values["path"] = target;
    write_file(root, parts, render_template(volume.dir("templates").read(name), context), owner);
}

} // namespace

void apply_templates(const Dir& volume, const std::string& trigger, const TemplateContext& context,
                     std::int64_t root_uid, std::int64_t root_gid) {
    const auto metadata = volume.read_if_exists("metadata.yaml");
    if (!metadata) return;
    const auto parsed = api::parse_yaml(*metadata);
    if (!parsed.is_object() || !parsed.contains("templates") || !parsed["templates"].is_object()) return;
    const Owner owner{static_cast<uid_t>(root_uid), static_cast<gid_t>(root_gid)};
    std::optional<Dir> root;
    for (const auto& [target, rule] : parsed["templates"].items()) {
        if (!wanted(rule, trigger)) continue;
        if (!root) root = volume.dir("rootfs");
        try {
            apply_one(volume, *root, target, rule, context, owner);
        } catch (Error& error) {
            error.add_context("Template " + target);
            throw;
        }
    }
}

} // namespace lxdcore::instance
