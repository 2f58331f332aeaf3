// SPDX-License-Identifier: Apache-2.0
#include "client/remote_server.hpp"

#include "util/x509.hpp"

namespace lxdcore::client {

namespace {

const std::string kServer = "/1.0", kCertificates = "/1.0/certificates", kProjects = "/1.0/projects";

/// Values of the server's configuration are text, true or a number on the wire.
api::StringMap config_of(const nlohmann::json& server) {
    api::StringMap config;
    const auto found = server.find("config");
    if (found == server.end() || !found->is_object()) return config;
    for (const auto& [key, value] : found->items())
        config[key] = value.is_string() ? value.get<std::string>() : value.dump();
    return config;
}

} // namespace

api::StringMap RemoteServer::config() const { return config_of(rest_->get(Url{kServer})); }

std::string RemoteServer::get(const std::string& key) const {
    auto all = config();
    return all[key];
}

void RemoteServer::set(const api::StringMap& config, const std::string& if_match) {
    rest_->call("PUT", Url{kServer}, {{"config", config}}, if_match);
}

void RemoteServer::patch(const api::StringMap& config, const std::string& if_match) {
    rest_->call("PATCH", Url{kServer}, {{"config", config}}, if_match);
}

std::string RemoteServer::etag() const {
    auto reply = rest_->request({"GET", kServer});
    metadata_of(reply);
    auto etag = reply.header("etag");
    std::erase(etag, '"');
    return etag;
}

nlohmann::json RemoteServer::environment() const {
    auto object = rest_->get(Url{kServer});
    for (const auto* key : {"auth", "auth_methods", "config"})
        object.erase(key);
    return object;
}

std::vector<api::Certificate> RemoteServer::certificates() const {
    return rest_->get_as<std::vector<api::Certificate>>(Url{kCertificates}.query("recursion", "1"));
}

api::Certificate RemoteServer::certificate(const std::string& fingerprint_or_prefix) const {
    return rest_->get_as<api::Certificate>(Url{kCertificates} / fingerprint_or_prefix);
}

api::Certificate RemoteServer::add_certificate(const api::CertificatePut& certificate, const std::string& otherwise) {
    const auto parsed = x509::parse(certificate.certificate);
    api::CertificatesPost post;
    static_cast<api::CertificatePut&>(post) = certificate;
    if (post.name.empty()) post.name = parsed.common_name.empty() ? otherwise : parsed.common_name;
    // On the wire a certificate is the base64 inside its PEM form.
    post.certificate.clear();
    for (std::size_t at = 0; at < parsed.pem.size();) {
        const auto end = std::min(parsed.pem.find('\n', at), parsed.pem.size());
        const auto line = parsed.pem.substr(at, end - at);
        if (!line.starts_with("-----")) post.certificate += line;
        at = end + 1;
    }
    rest_->call("POST", Url{kCertificates}, post);
    return this->certificate(parsed.fingerprint);
}

void RemoteServer::update_certificate(const std::string& fingerprint, const api::CertificatePut& certificate,
                                      const std::string& if_match) {
    rest_->call("PUT", Url{kCertificates} / fingerprint, certificate, if_match);
}

void RemoteServer::rotate_certificate(const std::string& fingerprint, const api::CertificatePut& certificate,
                                      const std::string& if_match) {
    update_certificate(fingerprint, certificate, if_match);
}

void RemoteServer::remove_certificate(const std::string& fingerprint) {
    rest_->call("DELETE", Url{kCertificates} / fingerprint);
}

std::optional<api::Certificate> RemoteServer::trusted(const std::string& fingerprint) const {
    for (auto& entry : certificates())
        if (entry.fingerprint == fingerprint) return entry;
    return std::nullopt;
}

OperationPtr RemoteServer::issue_token(const api::CertificatesPost& request) {
    auto post = request;
    post.token = true;
    return rest_->start("POST", Url{kCertificates}, post);
}

std::vector<api::Project> RemoteServer::projects() const {
    return rest_->get_as<std::vector<api::Project>>(Url{kProjects}.query("recursion", "1"));
}

api::Project RemoteServer::project(const std::string& name) const {
    return rest_->get_as<api::Project>(Url{kProjects} / name);
}

nlohmann::json RemoteServer::resources() const { return rest_->get(Url{"/1.0/resources"}); }

} // namespace lxdcore::client
