// SPDX-License-Identifier: Apache-2.0
#include <pybind11/stl.h>

#include <lxdcore/service/backup_service.hpp>
#include <lxdcore/service/instance_publish_service.hpp>
#include <lxdcore/service/instance_snapshot_service.hpp>

#include "bindings.hpp"
#include "descriptor.hpp"
#include "handle.hpp"

namespace py = pybind11;

namespace lxdcore::python {

namespace {

using Op = Handle<Operation>;

void init_snapshot_service(py::module_& m) {
    using H = Handle<InstanceSnapshotService>;
    py::class_<H>(m, "InstanceSnapshotService", "Snapshots of instances; usable from any thread.")
        .def(
            "list",
            [](const H& h, const std::string& project, const std::string& instance) {
                return h.fetch([&](auto& s) { return s.snapshots({project, instance}); });
            },
            py::arg("project"), py::arg("instance"), "All of an instance, in the order of their making.")
        .def(
            "names",
            [](const H& h, const std::string& project, const std::string& instance) {
                return h.call([&](auto& s) { return s.snapshot_names({project, instance}); });
            },
            py::arg("project"), py::arg("instance"), "Their names.")
        .def(
            "get",
            [](const H& h, const std::string& project, const std::string& instance, const std::string& name) {
                return h.fetch([&](auto& s) { return s.snapshot({project, instance}, name); });
            },
            py::arg("project"), py::arg("instance"), py::arg("name"), "One. Raises NotFoundError.")
        .def(
            "create",
            [](const H& h, const std::string& project, const std::string& instance, const py::dict& request) {
                const auto post = from_python<api::InstanceSnapshotsPost>(request);
                return Op{h.call([&](auto& s) { return s.create_snapshot({project, instance}, post); })};
            },
            py::arg("project"), py::arg("instance"), py::arg("request"), "Makes one.")
        .def(
            "update",
            [](const H& h, const std::string& project, const std::string& instance, const std::string& name,
               const py::dict& snapshot, const std::string& etag) {
                const auto put = from_python<api::InstanceSnapshotPut>(snapshot);
                return Op{h.call([&](auto& s) { return s.update_snapshot({project, instance}, name, put, etag); })};
            },
            py::arg("project"), py::arg("instance"), py::arg("name"), py::arg("snapshot"), py::arg("etag") = "",
            "Changes when it expires.")
        .def(
            "rename",
            [](const H& h, const std::string& project, const std::string& instance, const std::string& name,
               const std::string& new_name) {
                api::InstanceSnapshotPost post;
                post.name = new_name;
                return Op{h.call([&](auto& s) { return s.rename_snapshot({project, instance}, name, post); })};
            },
            py::arg("project"), py::arg("instance"), py::arg("name"), py::arg("new_name"), "Gives another name.")
        .def(
            "delete",
            [](const H& h, const std::string& project, const std::string& instance, const std::string& name) {
                return Op{h.call([&](auto& s) { return s.remove_snapshot({project, instance}, name); })};
            },
            py::arg("project"), py::arg("instance"), py::arg("name"), "Removes one.");
}

Op publish(const Handle<InstancePublishService>& h, const std::string& project, const std::string& instance,
           const std::string& snapshot, const std::vector<std::string>& aliases, const api::StringMap& properties,
           bool is_public, const std::string& compression) {
    PublishRequest request;
    request.project = project;
    request.instance = instance;
    request.snapshot = snapshot;
    request.compression = compression;
    request.is_public = is_public;
    request.properties = properties;
    for (const auto& alias : aliases)
        request.aliases.push_back({alias, ""});
    return Op{h.call([&](auto& s) { return s.publish(request); })};
}

Op import_backup(const Handle<BackupService>& h, const std::string& project, const std::string& name,
                 const std::string& pool, int fd) {
    BackupImport request;
    request.project = project;
    request.name = name;
    request.pool = pool;
    request.archive = own_descriptor(fd);
    return Op{h.call([&](auto& s) { return s.import_backup(request); })};
}

void init_backup_service(py::module_& m) {
    using H = Handle<BackupService>;
    py::class_<H>(m, "BackupService", "Backups of instances; usable from any thread.")
        .def(
            "list",
            [](const H& h, const std::string& project, const std::string& instance) {
                return h.fetch([&](auto& s) { return s.backups({project, instance}); });
            },
            py::arg("project"), py::arg("instance"), "All of an instance, in the order of their making.")
        .def(
            "get",
            [](const H& h, const std::string& project, const std::string& instance, const std::string& name) {
                return h.fetch([&](auto& s) { return s.backup({project, instance}, name); });
            },
            py::arg("project"), py::arg("instance"), py::arg("name"), "One. Raises NotFoundError.")
        .def(
            "create",
            [](const H& h, const std::string& project, const std::string& instance, const py::dict& request) {
                const auto post = from_python<api::InstanceBackupsPost>(request);
                return Op{h.call([&](auto& s) { return s.create_backup({project, instance}, post); })};
            },
            py::arg("project"), py::arg("instance"), py::arg("request"), "Makes one.")
        .def(
            "rename",
            [](const H& h, const std::string& project, const std::string& instance, const std::string& name,
               const std::string& new_name) {
                return Op{h.call([&](auto& s) { return s.rename_backup({project, instance}, name, new_name); })};
            },
            py::arg("project"), py::arg("instance"), py::arg("name"), py::arg("new_name"), "Gives another name.")
        .def(
            "delete",
            [](const H& h, const std::string& project, const std::string& instance, const std::string& name) {
                return Op{h.call([&](auto& s) { return s.remove_backup({project, instance}, name); })};
            },
            py::arg("project"), py::arg("instance"), py::arg("name"), "Removes one.")
        .def(
            "open",
            [](const H& h, const std::string& project, const std::string& instance, const std::string& name) {
                return h.call([&](auto& s) { return s.open_backup({project, instance}, name).fd; });
            },
            py::arg("project"), py::arg("instance"), py::arg("name"),
            "A descriptor of its file, the caller's to close.")
        .def("import_backup", &import_backup, py::arg("project"), py::arg("name"), py::arg("pool"), py::arg("fd"),
             "Makes an instance of a file; '' is what the backup says.");
}

} // namespace

void init_snapshots(py::module_& m) {
    init_snapshot_service(m);
    init_backup_service(m);
    py::class_<Handle<InstancePublishService>>(m, "InstancePublishService", "Images made of instances.")
        .def("publish", &publish, py::arg("project"), py::arg("instance"), py::arg("snapshot"), py::arg("aliases"),
             py::arg("properties"), py::arg("public"), py::arg("compression"), "The operation has the fingerprint.");
}

} // namespace lxdcore::python
