// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <set>

#include "config/config_keys.hpp"
#include "device/extension.hpp"
#include "instance/architecture.hpp"
#include "instance/creation.hpp"
#include "instance/petname.hpp"
#include "operation/operation_types.hpp"
#include "util/fault_point.hpp"
#include "util/names.hpp"
#include "util/steps.hpp"
#include "util/text.hpp"

namespace lxdcore::instance {

namespace {

constexpr const char* kRecord = "Failed creating instance record";
constexpr std::chrono::seconds kSourcePatience{10};
constexpr const char* kInit = "Failed initialising instance";

/// Keys of a source that the copy keeps; all other volatile keys belong to the source alone.
bool copied_volatile(const std::string& key) {
    return key == "volatile.base_image" || key == "volatile.last_state.idmap";
}

/// What neither LXD's tables nor the program have is refused first.
void check_types(const api::Devices& devices, const device::AddedTypes* added) {
    for (const auto& [name, device] : devices) {
        const auto it = device.find("type");
        const auto type = it == device.end() ? std::string{} : it->second;
        if (type != "none" && db::device_type_id(type) == 0 && (added == nullptr || !added->keys.contains(type)))
            throw Error{ErrorCode::InvalidArgument, "Invalid device type " + type};
    }
}

/// LXD's words around what goes wrong with the files of an image.
template <class Call>
void with_image_errors(Call call) {
    try {
        call();
    } catch (Error& error) {
        if (error.code() == ErrorCode::Cancelled) throw;
        constexpr auto context = "Failed creating instance from image";
        if (error.code() == ErrorCode::NoSpace)
            throw Error{ErrorCode::NoSpace, fmt::format("{}: Unable to unpack image, run out of disk space", context)};
        error.add_context(context);
        throw;
    }
}

} // namespace

OperationPtr Manager::create(const std::string& project, const api::InstancesPost& request) {
    try {
        require_project(project);
    } catch (Error& error) {
        error.add_context("Failed loading project");
        throw;
    }
    auto creation = std::make_shared<Creation>();
    creation->request = request;
    auto& post = creation->request;
    if (post.name.empty()) {
        const auto taken = names(project);
        do
            post.name = random_name();
        while (std::find(taken.begin(), taken.end(), post.name) != taken.end());
    }
    names::check_instance(post.name);
    config::check_supported(post.config);
    creation->ref = {project, post.name};
    if (post.type == "virtual-machine")
        throw Error{ErrorCode::Unsupported, "Instance type \"virtual-machine\" is not supported on this server"};
    if (!post.type.empty() && post.type != "container")
        throw Error{ErrorCode::InvalidArgument, "Invalid instance type"};
    if (!post.instance_type.empty())
        for (auto& [key, value] : instance_type_limits(post.instance_type))
            post.config.emplace(key, value);

    const auto profiles = expander(project);
    const auto& type = post.source.type;
    auto& wanted = post.requested_profiles;
    if (type == "image" && !wanted) {
        creation->image = find_image(project, post.source);
        if (creation->image) wanted = creation->image->profiles;
    }
    if (!wanted && type != "copy") wanted.emplace({std::string{"default"}});
    for (const auto& profile : wanted.value_or(std::vector<std::string>{}))
        if (!profiles.knows(profile))
            throw Error{ErrorCode::Internal, "Requested profile " + text::quote(profile) + " doesn't exist"};
    if (!post.architecture.empty()) architecture_id(post.architecture);

    auto options = operation_options(kInstanceCreate, creation->ref);
    if (type == "image") {
        if (!creation->image) creation->image = find_image(project, post.source);
    } else if (type == "copy") {
        load_source(*creation, options);
    } else if (type == "migration") {
        throw Error{ErrorCode::Unsupported, "Creating instances by migration is not supported on this server"};
    } else if (type != "none") {
        throw Error{ErrorCode::InvalidArgument, "Unknown source type " + type};
    }
    return s_.operations.start(std::move(options), [this, creation](OperationContext& op) {
        Claims::Claim reading;
        if (creation->source) reading = claims_.share(creation->source->ref(), "copy", kSourcePatience);
        const bool refresh = creation->request.source.refresh && s_.global.read_value([&](db::Transaction& tx) {
            return repo_.find(tx, creation->ref.project, creation->ref.name).has_value();
        });
        const auto claim = [&] {
            try {
                return claims_.take(creation->ref, refresh ? "refresh" : "create");
            } catch (Error& error) {
                error.add_context(kRecord);
                throw;
            }
        }();
        if (refresh)
            run_refresh(*creation, op);
        else
            run_create(*creation, op);
    });
}

std::optional<api::Image> Manager::find_image(const std::string& project, const api::InstanceSource& source) const {
    if (!source.server.empty())
        throw Error{ErrorCode::Unsupported, "Images of remote servers must be copied to this server first"};
    if (!source.alias.empty()) return s_.image.resolve(project, "", source.alias);
    if (!source.fingerprint.empty()) {
        try {
            names::check_fingerprint_prefix(source.fingerprint);
            return s_.image.resolve(project, source.fingerprint, "");
        } catch (const Error& error) {
            if (error.code() != ErrorCode::NotFound) throw;
            return std::nullopt; // LXD reports this one in the operation
        }
    }
    if (source.properties.empty())
        throw Error{ErrorCode::Internal, "Must specify one of alias, fingerprint or properties for init from image"};
    std::optional<api::Image> best;
    for (auto& image : s_.image.list(project, false)) {
        bool matches = true;
        for (const auto& [key, value] : source.properties) {
            const auto it = image.properties.find(key);
            matches = matches && it != image.properties.end() && it->second == value;
        }
        if (matches && (!best || image.created_at.unix_seconds() > best->created_at.unix_seconds()))
            best = std::move(image);
    }
    if (!best) throw Error{ErrorCode::Internal, "No matching image could be found"};
    return best;
}

void Manager::build_row(Creation& creation) {
    const auto& post = creation.request;
    auto& row = creation.instance.row;
    row.project = creation.ref.project;
    row.name = creation.ref.name;
    row.ephemeral = post.ephemeral;
    row.description = post.description;
    row.config = post.config;
    row.devices = post.devices;
    row.profiles = post.requested_profiles.value_or(std::vector<std::string>{});
    row.created_at = api::Time::now();
    row.last_used_at = api::Time::from_unix(0);
    std::erase_if(row.config, [](const auto& entry) { return entry.second.empty(); });
    for (const auto& [key, value] : row.config)
        if (key.starts_with("volatile.") && (key.starts_with("volatile.idmap.") || key == "volatile.last_state.idmap"))
            throw Error{ErrorCode::InvalidArgument, "Volatile idmap keys can't be set by the user"};
    std::string architecture = post.architecture.empty() ? host_architecture() : post.architecture;
    std::string disk_map = "[]";
    if (creation.image) {
        architecture = creation.image->architecture;
        for (const auto& [key, value] : creation.image->properties)
            if (!value.empty()) row.config.emplace("image." + key, value);
    }
    if (creation.source) {
        const auto& source = creation.source->row;
        architecture = architecture_name(source.architecture);
        for (const auto& [key, value] : source.config)
            if (!key.starts_with("volatile.") || copied_volatile(key)) row.config.emplace(key, value);
        for (const auto& [name, device] : source.devices)
            row.devices.emplace(name, device);
        if (const auto it = source.config.find("volatile.last_state.idmap"); it != source.config.end())
            disk_map = it->second;
    }
    if (creation.import) disk_map = creation.import->disk_map;
    if (!runs_here(architecture))
        throw Error{ErrorCode::InvalidArgument, "Requested architecture isn't supported by this host"};
    row.architecture = architecture_id(architecture);
    check_config(row.config);
    if (std::set<std::string>{row.profiles.begin(), row.profiles.end()}.size() != row.profiles.size())
        throw Error{ErrorCode::InvalidArgument, "Duplicate profile found in request"};
    check_types(row.devices, s_.added_types);
    try {
        validate_devices(row.devices);
    } catch (Error& error) {
        error.add_context("Invalid devices");
        error.add_context(kInit);
        throw;
    }

    creation.instance = expander(row.project).expand(std::move(row));
    auto& instance = creation.instance;
    check_policy({}, instance);
    check_expanded(instance);
    check_kernel_limits(instance.config);
    auto& config = instance.row.config;
    if (creation.image) config["volatile.base_image"] = creation.image->fingerprint;
    if (!creation.import) {
        config["volatile.apply_template"] = creation.source ? "copy" : "create";
        config["volatile.uuid"] = text::uuid4();
        config["volatile.cloud-init.instance-id"] = text::uuid4();
    } else {
        for (const auto& [key, value] : creation.import->kept)
            config[key] = value;
        instance.row.created_at = creation.import->created_at;
        instance.row.last_used_at = creation.import->last_used_at;
    }
    config["volatile.last_state.idmap"] = disk_map;
    try {
        const auto next = next_idmap(instance);
        config["volatile.idmap.base"] = std::to_string(next.base);
        config["volatile.idmap.next"] = next.map.json();
    } catch (Error& error) {
        error.add_context(kInit);
        throw;
    }
    creation.instance = expander(instance.row.project).expand(std::move(instance.row));
}

void Manager::add_devices(Loaded& instance) {
    const IdMap map;
    for (const auto& name : start_order(instance.devices)) {
        auto device = make_device(name, instance.devices.at(name));
        const auto seen = target(instance, map, devices_path(instance.ref()));
        try {
            device->validate(seen, false);
        } catch (Error& error) {
            error.add_context(fmt::format("Invalid devices: Device validation failed for {}", text::quote(name)));
            throw;
        }
        const auto current = device_volatile(instance.row.config, name);
        store_device_volatile(instance.row.config, name, added_values(*device, seen, current));
    }
    instance = expander(instance.row.project).expand(std::move(instance.row));
}

void Manager::run_create(Creation& creation, OperationContext& op) {
    const auto& ref = creation.ref;
    Steps steps{s_.log, "instance create", ref.name};
    const bool exists =
        s_.global.read_value([&](db::Transaction& tx) { return repo_.find(tx, ref.project, ref.name).has_value(); });
    if (exists)
        throw Error{
            ErrorCode::AlreadyExists,
            fmt::format("{}: Add instance info to the database: This \"instances\" entry already exists", kRecord)};
    if (creation.request.source.type == "image" && !creation.image)
        throw Error{ErrorCode::NotFound, "Image not provided for instance creation"};
    Rollback undo;
    undo.add([&] { release_slot(ref); });
    try {
        build_row(creation);
        try {
            try {
                creation.pool = root_disk(creation.instance.devices).second.at("pool");
            } catch (Error& error) {
                // LXD finds it while it validates the devices, if there are any
                const bool none = creation.instance.devices.empty();
                error.add_context(none ? "Failed getting root disk" : "Failed detecting root disk device");
                if (!none) error.add_context("Invalid devices");
                throw;
            } catch (const std::out_of_range&) {
                throw Error{ErrorCode::InvalidArgument, "Root disk entry must have a \"pool\" property set"};
            }
            try {
                s_.storage.require_pool(creation.pool);
            } catch (Error& error) {
                error.add_context("Failed loading storage pool");
                throw;
            }
            add_devices(creation.instance);
        } catch (Error& error) {
            error.add_context(kInit);
            throw;
        }
    } catch (Error& error) {
        error.add_context(kRecord);
        throw;
    }

    steps.done("checks");
    const auto frozen = creation.source ? creation.source->row.project + "/" + creation.source->row.name : "";
    const auto intent =
        intents_.begin("instance-create", ref.project, ref.name, nlohmann::json{{"source", frozen}}.dump());
    undo.add([this, intent] { intents_.end(intent); });
    undo.add([&] { s_.storage.delete_instance(ref.project, ref.name); });
    op.throw_if_cancelled();
    steps.done("intent");
    fault_point("instance-create:intent");
    if (creation.image) {
        const auto& fingerprint = creation.image->fingerprint;
        with_image_errors([&] {
            s_.storage.ensure_image(creation.pool, fingerprint, s_.image.filler(fingerprint), op);
            steps.done("image tree");
            s_.storage.create_from_image(creation.pool, ref.project, ref.name, fingerprint, op);
        });
    } else if (creation.source) {
        copy_volumes(creation, op);
    } else if (creation.import) {
        create_imported(creation, op);
    } else {
        s_.storage.create_empty(creation.pool, ref.project, ref.name, op);
    }
    steps.done("volume");
    fault_point("instance-create:volume");
    if (const auto& root = root_disk(creation.instance.devices).second; root.contains("size"))
        s_.storage.set_instance_quota(ref.project, ref.name, text::parse_bytes(root.at("size")));
    op.throw_if_cancelled();
    op.refuse_cancel_from_here();
    s_.global.write([&](db::Transaction& tx) {
        creation.instance.row.id = repo_.insert(tx, creation.instance.row);
        copy_snapshot_rows(tx, creation);
    });
    undo.commit();
    release_slot(ref);
    steps.done("row");
    fault_point("instance-create:row");
    intents_.end(intent);
    write_backup_file(ref);
    if (creation.image) s_.image.touch(ref.project, creation.image->fingerprint);
    steps.done("end of intent");
    s_.events.lifecycle(ref.project, "instance-created", instance_url(ref),
                        {{"type", "container"}, {"storage-pool", creation.pool}});
    for (const auto& row : copied_rows(creation))
        tell_snapshot(ref, "created", row.name);
}

} // namespace lxdcore::instance
