// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include <lxdcore/api/codec.hpp>

#include "instance/manager.hpp"
#include "util/names.hpp"
#include "util/text.hpp"

namespace lxdcore::instance {

namespace {

constexpr const char* kMetadata = "metadata.yaml";
constexpr const char* kTemplates = "templates";
constexpr std::size_t kMaxName = 200; ///< leaves room for what is written beside

/// R2: what an image left there as a link, a device or a fifo is neither read nor replaced.
bool is_file(const Dir& dir, const std::string& name) {
    const auto info = dir.stat_if_exists(name);
    if (!info) return false;
    if (!S_ISREG(info->st_mode) || info->st_nlink != 1)
        throw Error{ErrorCode::InvalidArgument, name + " is not a regular file"};
    return true;
}

std::optional<Dir> template_dir(const Dir& volume) {
    const auto info = volume.stat_if_exists(kTemplates);
    if (!info) return std::nullopt;
    if (!S_ISDIR(info->st_mode)) throw Error{ErrorCode::InvalidArgument, "templates is not a directory"};
    return volume.dir(kTemplates);
}

api::ImageMetadata read_metadata(const Dir& volume) {
    if (!is_file(volume, kMetadata)) return {};
    try {
        return api::metadata_from_yaml(volume.read(kMetadata));
    } catch (const Error& error) {
        throw Error{ErrorCode::Internal, error.what()}; // not the request is wrong
    }
}

void write_metadata(const Dir& volume, const api::ImageMetadata& metadata) {
    volume.write(kMetadata, api::metadata_to_yaml(metadata), 0644);
}

void check_template_name(const std::string& name) {
    if (name.empty() || name == "." || name == ".." || name.size() > kMaxName || name.find('/') != std::string::npos ||
        names::has_control(name) || !names::is_utf8(name))
        throw Error{ErrorCode::Internal, "Invalid template filename"};
}

/// The directory of a template that is there.
Dir dir_with(const Dir& volume, const std::string& name) {
    auto dir = template_dir(volume);
    if (!dir || !is_file(*dir, name)) throw Error{ErrorCode::NotFound, "Template " + text::quote(name) + " not found"};
    return std::move(*dir);
}

std::string below(const InstanceRef& ref, const std::string& part) {
    const auto url = "/1.0/instances/" + ref.name + part;
    return ref.project == "default" ? url : url + "?project=" + ref.project;
}

/// A list or map may be added to; null says nothing.
void add_object(nlohmann::json& target, const nlohmann::json& changes) {
    if (!target.is_object()) target = nlohmann::json::object();
    target.update(changes);
}

} // namespace

storage::MountedDir Manager::volume_of(const InstanceRef& ref) const {
    (void)load(ref);
    return s_.storage.open_instance(ref.project, ref.name);
}

api::ImageMetadata Manager::metadata(const InstanceRef& ref) const {
    auto metadata = read_metadata(volume_of(ref).dir);
    s_.events.lifecycle(ref.project, "instance-metadata-retrieved", below(ref, "/metadata"));
    return metadata;
}

void Manager::set_metadata(const InstanceRef& ref, const api::ImageMetadata& metadata, const std::string& if_match) {
    {
        const std::lock_guard lock{metadata_mutex_};
        const auto mounted = volume_of(ref);
        const auto& volume = mounted.dir;
        if (is_file(volume, kMetadata) && !if_match.empty())
            api::check_etag(metadata_etag(read_metadata(volume)), if_match);
        write_metadata(volume, metadata);
    }
    s_.events.lifecycle(ref.project, "instance-metadata-updated", below(ref, "/metadata"));
}

void Manager::patch_metadata(const InstanceRef& ref, const nlohmann::json& changes, const std::string& if_match) {
    {
        const std::lock_guard lock{metadata_mutex_};
        const auto mounted = volume_of(ref);
        const auto& volume = mounted.dir;
        const auto before = read_metadata(volume);
        api::check_etag(metadata_etag(before), if_match);
        (void)changes.get<api::ImageMetadata>(); // types first
        nlohmann::json merged = before;
        for (const auto& [key, value] : changes.items()) {
            if (value.is_object())
                add_object(merged[key], value);
            else if (!value.is_null())
                merged[key] = value;
        }
        write_metadata(volume, merged.get<api::ImageMetadata>());
    }
    s_.events.lifecycle(ref.project, "instance-metadata-updated", below(ref, "/metadata"));
}

void Manager::tell_template(const InstanceRef& ref, const std::string& action, const std::string& name) const {
    s_.events.lifecycle(ref.project, "instance-metadata-template-" + action, below(ref, "/metadata/templates"),
                        {{"path", name}});
}

std::vector<std::string> Manager::templates(const InstanceRef& ref) const {
    const auto volume = volume_of(ref);
    const auto dir = template_dir(volume.dir);
    std::vector<std::string> out;
    if (!dir) return out;
    for (auto& name : dir->list()) {
        const auto info = dir->stat_if_exists(name);
        if (info && S_ISREG(info->st_mode)) out.push_back(std::move(name));
    }
    return out;
}

std::string Manager::read_template(const InstanceRef& ref, const std::string& name) const {
    const auto mounted = volume_of(ref);
    const auto& volume = mounted.dir;
    check_template_name(name);
    auto content = dir_with(volume, name).read(name, max_template);
    tell_template(ref, "retrieved", name);
    return content;
}

void Manager::write_template(const InstanceRef& ref, const std::string& name, const std::string& content) {
    const auto mounted = volume_of(ref);
    const auto& volume = mounted.dir;
    check_template_name(name);
    if (content.size() > max_template) throw Error{ErrorCode::TooLarge, "Template is larger than 1 MiB"};
    auto dir = template_dir(volume);
    if (!dir) dir = volume.make_dir(kTemplates, 0755);
    (void)is_file(*dir, name);
    dir->write(name, content, 0644);
    tell_template(ref, "created", name);
}

void Manager::remove_template(const InstanceRef& ref, const std::string& name) {
    const auto mounted = volume_of(ref);
    const auto& volume = mounted.dir;
    check_template_name(name);
    dir_with(volume, name).remove(name);
    tell_template(ref, "deleted", name);
}

} // namespace lxdcore::instance

namespace lxdcore {

InstanceMetadataService::~InstanceMetadataService() = default;

std::string InstanceMetadataService::metadata_etag(const api::ImageMetadata& metadata) {
    return text::sha256_hex(api::json_text(metadata) + "\n");
}

} // namespace lxdcore
