// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <sys/stat.h>

#include <filesystem>
#include <functional>

#include <nlohmann/json.hpp>

#include "event/event_hub.hpp"
#include "operation/operation_manager.hpp"
#include "server/server_manager.hpp"
#include "util/text.hpp"
#include "util/x509.hpp"

using namespace lxdcore;

namespace {

struct Fixture {
    std::filesystem::path path = std::filesystem::temp_directory_path() / ("lxdcore-" + text::random_hex(8));
    Fixture() { start(); }
    ~Fixture() {
        server.reset();
        std::filesystem::remove_all(path);
    }
    void start() {
        std::filesystem::create_directory(path);
        server = server::make_server_manager(*local, *global, Dir::open(path.string()), *events, *operations,
                                             nlohmann::json::array(), log);
    }
    std::unique_ptr<db::Database> local = db::Database::open(":memory:", db::local_migrations());
    std::unique_ptr<db::Database> global = db::Database::open(":memory:", db::global_migrations());
    std::unique_ptr<EventService> events = make_event_service();
    Logger log;
    Reactor reactor;
    WorkerPool pool{2};
    std::unique_ptr<OperationService> operations = make_operation_service(*events, pool, reactor, log);
    std::unique_ptr<ServerService> server;
};

std::string failure(const std::function<void()>& call, ErrorCode code = ErrorCode::InvalidArgument) {
    try {
        call();
    } catch (const Error& error) {
        CHECK(error.code() == code);
        return error.what();
    }
    return "accepted";
}

api::CertificatePut client() {
    api::CertificatePut put;
    put.name = "laptop";
    put.type = "client";
    put.certificate = x509::make_server_certificate("laptop").certificate;
    return put;
}

} // namespace

TEST_CASE_FIXTURE(Fixture, "the server makes a certificate once, its files are for root only") {
    const auto first = server->environment()["environment"]["certificate_fingerprint"];
    struct stat info {};
    REQUIRE(::stat(server->server_key_path().c_str(), &info) == 0);
    CHECK((info.st_mode & 0777) == 0600);
    REQUIRE(::stat(server->server_certificate_path().c_str(), &info) == 0);
    CHECK((info.st_mode & 0777) == 0600);
    start();
    CHECK(server->environment()["environment"]["certificate_fingerprint"] == first);
}

TEST_CASE_FIXTURE(Fixture, "a certificate whose key is gone is an error, not a new identity") {
    std::filesystem::remove(server->server_key_path());
    CHECK_THROWS_AS(start(), Error);
}

TEST_CASE_FIXTURE(Fixture, "settings are stored where LXD keeps them, defaults are left out") {
    server->patch({{"core.https_address", "127.0.0.1:8443"},
                   {"images.auto_update_interval", "12"},
                   {"user.x", "1"},
                   {"core.shutdown_timeout", "5"}},
                  "");
    CHECK(server->config() == api::StringMap{{"core.https_address", "127.0.0.1:8443"},
                                             {"images.auto_update_interval", "12"},
                                             {"user.x", "1"}});
    CHECK(server->get("core.shutdown_timeout") == "5");
    CHECK(server->environment()["environment"]["addresses"] == nlohmann::json{"127.0.0.1:8443"});
    auto in = [](db::Database& database, const char* key) {
        return database.read_value([&](db::Transaction& tx) {
            return tx.query("SELECT 1 FROM config WHERE key = :key", {{":key", key}}).next();
        });
    };
    CHECK(in(*local, "core.https_address"));
    CHECK(!in(*global, "core.https_address"));
    CHECK(in(*global, "images.auto_update_interval"));
    server->set({{"user.x", "2"}}, "");
    CHECK(server->config() == api::StringMap{{"user.x", "2"}});
}

TEST_CASE_FIXTURE(Fixture, "bad settings get LXD's texts and change nothing") {
    const auto patch = [&](const api::StringMap& config) { return failure([&] { server->patch(config, ""); }); };
    CHECK(patch({{"nope", "1"}}) == "cannot set 'nope' to '1': unknown key");
    CHECK(patch({{"core.nope", "x"}, {"aa.bb", "c"}}) == "cannot set 'aa.bb' to 'c': unknown key (and 1 more errors)");
    CHECK(patch({{"core.shutdown_timeout", "x"}}) == "cannot set 'core.shutdown_timeout' to 'x': invalid integer");
    CHECK(patch({{"core.https_allowed_credentials", "x"}}) ==
          "cannot set 'core.https_allowed_credentials' to 'x': invalid boolean");
    CHECK(patch({{"images.compression_algorithm", "foo"}}) ==
          "cannot set 'images.compression_algorithm' to 'foo': Invalid compression algorithm \"foo\"");
    CHECK(patch({{"core.https_address", "a b:1"}}) ==
          "cannot set 'core.https_address' to 'a b:1': Couldn't resolve \"a b\"");
    CHECK(patch({{"core.proxy_http", "a\nb"}}) != "accepted");
    CHECK(patch({{"user.ok", "1"}, {"nope", "1"}}) != "accepted");
    CHECK(server->config().empty());
}

TEST_CASE_FIXTURE(Fixture, "a listener that refuses undoes the change, a stale ETag prevents it") {
    server->on_change([](const api::StringMap& changed) {
        if (changed.contains("core.https_address")) throw Error{ErrorCode::Internal, "cannot listen"};
    });
    CHECK(failure(
              [&] {
                  server->patch({{"core.https_address", ":8443"}}, "");
              },
              ErrorCode::Internal) == "cannot listen");
    CHECK(server->config().empty());
    CHECK(failure(
              [&] {
                  server->patch({{"user.a", "1"}}, "abc");
              },
              ErrorCode::StaleEtag) == "ETag doesn't match: " + server->etag() + " vs abc");
    CHECK(server->etag() == "ca3d163bab055381827226140568f3bef7eaac187cebd76878e0b63e9e442356");
}

TEST_CASE_FIXTURE(Fixture, "D11: the trust password is stored as a hash and never shown") {
    CHECK(!server->check_trust_password(""));
    CHECK(!server->check_trust_password("anything"));
    server->patch({{"core.trust_password", "s3cret"}}, "");
    CHECK(server->config().at("core.trust_password") == "true");
    CHECK(server->get("core.trust_password") == "true");
    const auto row = global->read_value([](db::Transaction& tx) {
        auto rows = tx.query("SELECT value FROM config WHERE key = 'core.trust_password'");
        return rows.next() ? rows.text(0) : "";
    });
    CHECK(row.size() == 192);
    CHECK(row.find("s3cret") == std::string::npos);
    CHECK(server->check_trust_password("s3cret"));
    CHECK(!server->check_trust_password("S3cret"));
    server->set({{"core.trust_password", "true"}}, ""); // what a client was shown, sent back
    CHECK(server->check_trust_password("s3cret"));
    server->set({}, "");
    CHECK(!server->check_trust_password("s3cret"));
}

TEST_CASE("D11: a damaged hash fits no password, equal passwords have different hashes") {
    for (const auto* hash : {"", "00", "zz", "true"})
        CHECK(!x509::check_password("", hash));
    CHECK(!x509::check_password("", std::string(192, '0')));
    CHECK(x509::hash_password("a") != x509::hash_password("a"));
}

TEST_CASE_FIXTURE(Fixture, "certificates are added once, found by prefix, changed and removed") {
    const auto put = client();
    const auto added = server->add_certificate(put);
    CHECK(added.fingerprint.size() == 64);
    CHECK(failure([&] { server->add_certificate(put); }, ErrorCode::AlreadyExists) ==
          "Certificate already in trust store");
    CHECK(server->certificate(added.fingerprint.substr(0, 12)).name == "laptop");
    CHECK(failure([&] { server->certificate(added.fingerprint.substr(0, 11)); }, ErrorCode::NotFound) ==
          "Certificate not found");
    CHECK(failure([&] { server->certificate("%"); }, ErrorCode::NotFound) == "Certificate not found");
    CHECK(server->trusted(added.fingerprint));
    CHECK(!server->trusted(added.fingerprint.substr(0, 12)));
    auto changed = put;
    changed.restricted = true;
    changed.projects = {"default"};
    server->update_certificate(added.fingerprint, changed, ServerService::etag(added));
    CHECK(server->certificate(added.fingerprint).projects == std::vector<std::string>{"default"});
    CHECK(failure([&] { server->update_certificate(added.fingerprint, changed, "abc"); }, ErrorCode::StaleEtag) !=
          "accepted");
    changed.projects = {"nope"};
    CHECK(failure([&] { server->update_certificate(added.fingerprint, changed, ""); }, ErrorCode::NotFound) ==
          "Project not found");
    server->remove_certificate(added.fingerprint);
    CHECK(server->certificates().empty());
    CHECK(!server->trusted(added.fingerprint));
}

TEST_CASE_FIXTURE(Fixture, "a certificate without a name gets its subject's, then what the caller is called") {
    auto put = client();
    put.name = "";
    CHECK(server->add_certificate(put, "192.0.2.1").name == "root@laptop");
}

TEST_CASE_FIXTURE(Fixture, "R21: who may only replace a certificate cannot change what it stands for") {
    auto put = client();
    put.restricted = true;
    put.projects = {"default"};
    const auto before = server->add_certificate(put);
    const auto tried = [&](const std::function<void(api::CertificatePut&)>& change) {
        auto wanted = put;
        change(wanted);
        return failure([&] { server->rotate_certificate(before.fingerprint, wanted, ""); }, ErrorCode::Forbidden);
    };
    CHECK(tried([](auto& to) { to.restricted = false; }) == "Only the certificate can be changed");
    CHECK(tried([](auto& to) { to.projects.clear(); }) == "Only the certificate can be changed");
    CHECK(tried([](auto& to) { to.projects.push_back("other"); }) == "Only the certificate can be changed");
    CHECK(tried([](auto& to) { to.name = "boss"; }) == "Only the certificate can be changed");
    CHECK(tried([](auto& to) { to.type = "server"; }) == "The certificate type cannot be changed");
    CHECK(tried([](auto& to) { to.type = ""; }) == "The certificate type cannot be changed");
    CHECK(ServerService::etag(server->certificate(before.fingerprint)) == ServerService::etag(before));
    auto wanted = put;
    wanted.certificate = x509::make_server_certificate("new").certificate;
    server->rotate_certificate(before.fingerprint, wanted, "");
    CHECK(!server->trusted(before.fingerprint));
    REQUIRE(server->certificates().size() == 1);
    CHECK(server->certificates()[0].restricted);
    CHECK(server->certificates()[0].projects == put.projects);
}

TEST_CASE_FIXTURE(Fixture, "what is not a certificate is refused") {
    const auto add = [&](const std::string& text, const std::string& type = "client") {
        auto put = client();
        put.type = type;
        if (!text.empty()) put.certificate = text;
        return failure([&] { server->add_certificate(put); });
    };
    CHECK(add("MIIB") == "Invalid certificate material: x509: malformed certificate");
    CHECK(add("!!") == "illegal base64 data");
    CHECK(add("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n") != "accepted");
    CHECK(add("", "owner") == "Invalid certificate type");
    CHECK(server->certificates().empty());
}

TEST_CASE_FIXTURE(Fixture, "R18: an expired certificate is listed but not trusted") {
    const auto added = server->add_certificate(client());
    global->write([&](db::Transaction& tx) {
        tx.exec("UPDATE certificates SET certificate = 'damaged' WHERE fingerprint = :f", {{":f", added.fingerprint}});
    });
    start();
    CHECK(server->certificates().size() == 1);
    CHECK(!server->trusted(added.fingerprint));
}

TEST_CASE_FIXTURE(Fixture, "the environment has every field that clients read") {
    const auto reply = server->environment();
    CHECK(reply["api_status"] == "stable");
    CHECK(reply["api_version"] == "1.0");
    CHECK(reply["public"] == false);
    CHECK(reply["api_extensions"].size() == ServerService::api_extensions().size());
    for (const auto* key : {"addresses",
                            "architectures",
                            "certificate",
                            "certificate_fingerprint",
                            "driver",
                            "driver_version",
                            "firewall",
                            "kernel",
                            "kernel_architecture",
                            "kernel_features",
                            "kernel_version",
                            "lxc_features",
                            "os_name",
                            "os_version",
                            "project",
                            "server",
                            "server_clustered",
                            "server_event_mode",
                            "server_name",
                            "server_pid",
                            "server_version",
                            "storage",
                            "storage_version",
                            "storage_supported_drivers"})
        CHECK_MESSAGE(reply["environment"].contains(key), key);
    CHECK(reply["environment"]["server_version"] == "5.0.2");
}

TEST_CASE_FIXTURE(Fixture, "the default project is there, others are not found") {
    const auto project = server->project("default");
    CHECK(project.config.at("features.images") == "true");
    CHECK(project.used_by == std::vector<std::string>{"/1.0/profiles/default"});
    CHECK(failure([&] { server->project("real"); }, ErrorCode::NotFound) == "Project not found");
}
