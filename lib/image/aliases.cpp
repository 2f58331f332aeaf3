// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <lxdcore/error.hpp>

#include "api/codec.hpp"
#include "image/manager_impl.hpp"
#include "util/names.hpp"
#include "util/text.hpp"

namespace lxdcore {

/// LXD hashes the alias as it is sent, in this order of fields.
std::string ImageService::etag(const api::ImageAlias& alias) {
    const auto text = [](const std::string& value) { return api::encode_json(nlohmann::json(value)); };
    return text::sha256_hex(fmt::format("{{\"description\":{},\"target\":{},\"name\":{},\"type\":{}}}\n",
                                        text(alias.description), text(alias.target), text(alias.name),
                                        text(alias.type)));
}

namespace image {

api::ImageAlias ImageManagerImpl::need_alias(db::Transaction& tx, const std::string& project,
                                             const std::string& name) const {
    auto alias = repository_.alias(tx, project, name, false);
    if (!alias) throw Error{ErrorCode::NotFound, "Image alias not found"};
    return std::move(*alias);
}

std::vector<api::ImageAlias> ImageManagerImpl::aliases(const std::string& project) const {
    return global_.read_value([&](db::Transaction& tx) { return repository_.aliases(tx, project); });
}

api::ImageAlias ImageManagerImpl::alias(const std::string& project, const std::string& name, bool public_only) const {
    auto alias =
        global_.read_value([&](db::Transaction& tx) { return repository_.alias(tx, project, name, public_only); });
    if (!alias) throw Error{ErrorCode::NotFound, "Image alias not found"};
    return std::move(*alias);
}

void ImageManagerImpl::create_alias(const std::string& project, const api::ImageAlias& alias) {
    if (alias.name.empty() || alias.target.empty())
        throw Error{ErrorCode::InvalidArgument, "name and target are required"};
    names::check_alias(alias.name);
    const auto target = global_.write_value([&](db::Transaction& tx) {
        if (repository_.alias(tx, project, alias.name, false))
            throw Error{ErrorCode::AlreadyExists, fmt::format("Alias {} already exists", text::quote(alias.name))};
        const auto row = need(tx, project, alias.target);
        repository_.insert_alias(tx, project, row.id, alias.name, alias.description);
        return row.image.fingerprint;
    });
    events_.lifecycle(project, "image-alias-created", url(project, "aliases/" + alias.name), {{"target", target}});
}

void ImageManagerImpl::update_alias(const std::string& project, const std::string& name,
                                    const api::ImageAliasPatch& patch, const std::string& if_match) {
    const auto target = global_.write_value([&](db::Transaction& tx) {
        const auto current = need_alias(tx, project, name);
        api::check_etag(ImageService::etag(current), if_match);
        const auto row = need(tx, project, patch.target.value_or(current.target));
        repository_.update_alias(tx, project, name, row.id, patch.description.value_or(current.description));
        return row.image.fingerprint;
    });
    events_.lifecycle(project, "image-alias-updated", url(project, "aliases/" + name), {{"target", target}});
}

void ImageManagerImpl::rename_alias(const std::string& project, const std::string& name, const std::string& new_name) {
    names::check_alias(new_name);
    global_.write([&](db::Transaction& tx) {
        if (repository_.alias(tx, project, new_name, false))
            throw Error{ErrorCode::AlreadyExists, fmt::format("Alias {} already exists", text::quote(new_name))};
        need_alias(tx, project, name);
        repository_.rename_alias(tx, project, name, new_name);
    });
    events_.lifecycle(project, "image-alias-renamed", url(project, "aliases/" + new_name), {{"old_name", name}});
}

void ImageManagerImpl::remove_alias(const std::string& project, const std::string& name) {
    global_.write([&](db::Transaction& tx) {
        if (!repository_.remove_alias(tx, project, name)) throw Error{ErrorCode::NotFound, "Image alias not found"};
    });
    events_.lifecycle(project, "image-alias-deleted", url(project, "aliases/" + name));
}

} // namespace image
} // namespace lxdcore
