// SPDX-License-Identifier: Apache-2.0
#include "client/remote_instances.hpp"

#include "client/channels.hpp"
#include "client/instance_url.hpp"
#include "client/local_files.hpp"

namespace lxdcore::client {

namespace {

const std::string kInstances = "/1.0/instances";

/// What a PUT of the instance looks like has no name and no source.
nlohmann::json without_empty_restore(const nlohmann::json& json) {
    auto out = json;
    if (out.value("restore", "").empty()) out.erase("restore");
    return out;
}

} // namespace

std::vector<std::string> RemoteInstances::names(const std::string& project) const {
    return rest_->names(Url{kInstances}.project(project));
}

void RemoteInstances::each(const std::string& project, bool with_state, const Visit& visit) const {
    const auto list = rest_->get(Url{kInstances}.query("recursion", with_state ? "2" : "1").project(project));
    for (const auto& entry : list) {
        const auto full = entry.get<api::InstanceFull>();
        visit(full, with_state && full.state ? &*full.state : nullptr);
    }
}

api::Instance RemoteInstances::get(const InstanceRef& ref) const {
    return rest_->get_as<api::Instance>(instance_url(ref));
}

api::InstanceState RemoteInstances::state(const InstanceRef& ref) const {
    return rest_->get_as<api::InstanceState>(instance_url(ref, "state"));
}

OperationPtr RemoteInstances::create(const std::string& project, const api::InstancesPost& request) {
    return rest_->start("POST", Url{kInstances}.project(project), request);
}

OperationPtr RemoteInstances::update(const InstanceRef& ref, const api::InstancePut& instance,
                                     const std::string& if_match) {
    return rest_->start("PUT", instance_url(ref), without_empty_restore(instance), if_match);
}

void RemoteInstances::patch(const InstanceRef& ref, const api::InstancePatch& instance, const std::string& if_match) {
    rest_->call("PATCH", instance_url(ref), instance, if_match);
}

OperationPtr RemoteInstances::rename(const InstanceRef& ref, const api::InstancePost& request) {
    return rest_->start("POST", instance_url(ref), request);
}

OperationPtr RemoteInstances::remove(const InstanceRef& ref) { return rest_->start("DELETE", instance_url(ref)); }

OperationPtr RemoteInstances::change_state(const InstanceRef& ref, const api::InstanceStatePut& request) {
    return rest_->start("PUT", instance_url(ref, "state"), request);
}

OperationPtr RemoteInstances::change_all_states(const std::string& project, const api::InstanceStatePut& request) {
    return rest_->start("PUT", Url{kInstances}.project(project), {{"state", request}});
}

OperationPtr RemoteInstances::exec(const InstanceRef& ref, const api::InstanceExecPost& request) {
    return rest_->start("POST", instance_url(ref, "exec"), request);
}

OperationPtr RemoteInstances::exec(const InstanceRef& ref, const api::InstanceExecPost& request,
                                   const ExecStreams& streams) {
    auto post = request;
    post.wait_for_websocket = true;
    post.record_output = false;
    const auto operation =
        std::static_pointer_cast<RemoteOperation>(rest_->start("POST", instance_url(ref, "exec"), post));
    attach_streams(rest_, operation, streams, post.interactive);
    return operation;
}

OperationPtr RemoteInstances::console(const InstanceRef& ref, int width, int height) {
    api::InstanceConsolePost post;
    post.width = width;
    post.height = height;
    post.type = "console";
    return rest_->start("POST", instance_url(ref, "console"), post);
}

std::string RemoteInstances::console_log(const InstanceRef& ref) const {
    return rest_->text(instance_url(ref, "console"));
}
void RemoteInstances::clear_console_log(const InstanceRef& ref) { rest_->call("DELETE", instance_url(ref, "console")); }
std::vector<std::string> RemoteInstances::logs(const InstanceRef& ref) const {
    return rest_->names(instance_url(ref, "logs"));
}

int RemoteInstances::open_log(const InstanceRef& ref, const std::string& name) const {
    const auto text = rest_->text(instance_url(ref, "logs", name));
    auto file = temporary_file();
    write_all(file.get(), text.data(), text.size());
    if (::lseek(file.get(), 0, SEEK_SET) < 0) throw_errno("seek");
    return file.release();
}

void RemoteInstances::remove_log(const InstanceRef& ref, const std::string& name) {
    rest_->call("DELETE", instance_url(ref, "logs", name));
}

std::shared_ptr<const int> RemoteInstances::sftp(const InstanceRef& ref) {
    return upgraded_socket(rest_->http(), instance_url(ref, "sftp").str(), "sftp");
}

api::ImageMetadata RemoteInstances::metadata(const InstanceRef& ref) const {
    return rest_->get_as<api::ImageMetadata>(instance_url(ref, "metadata"));
}

void RemoteInstances::set_metadata(const InstanceRef& ref, const api::ImageMetadata& metadata,
                                   const std::string& if_match) {
    rest_->call("PUT", instance_url(ref, "metadata"), metadata, if_match);
}

void RemoteInstances::patch_metadata(const InstanceRef& ref, const nlohmann::json& changes,
                                     const std::string& if_match) {
    rest_->call("PATCH", instance_url(ref, "metadata"), changes, if_match);
}

std::vector<std::string> RemoteInstances::templates(const InstanceRef& ref) const {
    return rest_->get_as<std::vector<std::string>>(instance_url(ref, "metadata/templates"));
}

std::string RemoteInstances::read_template(const InstanceRef& ref, const std::string& name) const {
    return rest_->text(instance_url(ref, "metadata/templates").query("path", name));
}

void RemoteInstances::write_template(const InstanceRef& ref, const std::string& name, const std::string& content) {
    const auto url = instance_url(ref, "metadata/templates").query("path", name);
    metadata_of(rest_->request({"POST", url.str(), {{"Content-Type", "application/octet-stream"}}, content}));
}

void RemoteInstances::remove_template(const InstanceRef& ref, const std::string& name) {
    rest_->call("DELETE", instance_url(ref, "metadata/templates").query("path", name));
}

} // namespace lxdcore::client
