// SPDX-License-Identifier: Apache-2.0
#include "db/certificate_repository.hpp"

#include <lxdcore/error.hpp>

namespace lxdcore::db {

namespace {

/// LXD's numbers in the column `type`.
constexpr int kClient = 1;
constexpr int kServer = 2;
constexpr int kMetrics = 3;

int type_number(const std::string& type) {
    if (type == "client") return kClient;
    if (type == "server") return kServer;
    if (type == "metrics") return kMetrics;
    throw Error{ErrorCode::InvalidArgument, "Invalid certificate type"};
}

std::string type_name(std::int64_t number) {
    return number == kServer ? "server" : number == kMetrics ? "metrics" : "client";
}

void store_projects(Transaction& tx, std::int64_t id, const std::vector<std::string>& projects) {
    tx.exec("DELETE FROM certificates_projects WHERE certificate_id = :id", {{":id", id}});
    for (const auto& project : projects) {
        const auto stored = tx.exec("INSERT OR IGNORE INTO certificates_projects (certificate_id, project_id) "
                                    "SELECT :id, id FROM projects WHERE name = :name",
                                    {{":id", id}, {":name", project}});
        auto known = tx.query("SELECT id FROM projects WHERE name = :name", {{":name", project}});
        if (stored == 0 && !known.next()) throw Error{ErrorCode::NotFound, "Project not found"};
    }
}

} // namespace

std::vector<api::Certificate> CertificateRepository::list(Transaction& tx) {
    std::vector<api::Certificate> certificates;
    auto rows = tx.query("SELECT id, fingerprint, type, name, certificate, restricted FROM certificates ORDER BY id");
    while (rows.next()) {
        api::Certificate certificate;
        certificate.fingerprint = rows.text(1);
        certificate.type = type_name(rows.int64(2));
        certificate.name = rows.text(3);
        certificate.certificate = rows.text(4);
        certificate.restricted = rows.int64(5) != 0;
        auto projects = tx.query(R"sql(
            SELECT p.name FROM certificates_projects AS c JOIN projects AS p ON p.id = c.project_id
             WHERE c.certificate_id = :id ORDER BY p.name)sql",
                                 {{":id", rows.int64(0)}});
        while (projects.next())
            certificate.projects.push_back(projects.text(0));
        certificates.push_back(std::move(certificate));
    }
    return certificates;
}

void CertificateRepository::insert(Transaction& tx, const api::Certificate& certificate) {
    const auto id = tx.insert("INSERT INTO certificates (fingerprint, type, name, certificate, restricted) "
                              "VALUES (:fingerprint, :type, :name, :certificate, :restricted)",
                              {{":fingerprint", certificate.fingerprint},
                               {":type", type_number(certificate.type)},
                               {":name", certificate.name},
                               {":certificate", certificate.certificate},
                               {":restricted", certificate.restricted}});
    store_projects(tx, id, certificate.projects);
}

void CertificateRepository::update(Transaction& tx, const std::string& fingerprint,
                                   const api::Certificate& certificate) {
    auto rows = tx.query("SELECT id FROM certificates WHERE fingerprint = :old", {{":old", fingerprint}});
    if (!rows.next()) throw Error{ErrorCode::NotFound, "Certificate not found"};
    const auto id = rows.int64(0);
    tx.exec("UPDATE certificates SET fingerprint = :fingerprint, type = :type, name = :name, "
            "certificate = :certificate, restricted = :restricted WHERE id = :id",
            {{":fingerprint", certificate.fingerprint},
             {":type", type_number(certificate.type)},
             {":name", certificate.name},
             {":certificate", certificate.certificate},
             {":restricted", certificate.restricted},
             {":id", id}});
    store_projects(tx, id, certificate.projects);
}

void CertificateRepository::remove(Transaction& tx, const std::string& fingerprint) {
    tx.exec("DELETE FROM certificates WHERE fingerprint = :fingerprint", {{":fingerprint", fingerprint}});
}

} // namespace lxdcore::db
