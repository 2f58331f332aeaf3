// SPDX-License-Identifier: Apache-2.0
#include <pybind11/stl.h>

#include <lxdcore/service/storage_volume_service.hpp>

#include "bindings.hpp"
#include "handle.hpp"

namespace py = pybind11;

namespace lxdcore::python {

namespace {

using H = Handle<StorageVolumeService>;
using Op = Handle<Operation>;

/// None: it has been done at once.
std::optional<Op> perhaps(const OperationPtr& operation) {
    return operation ? std::optional<Op>{Op{operation}} : std::nullopt;
}

void def_volumes(py::class_<H>& type) {
    type.def(
            "list",
            [](const H& h, const std::string& pool, const std::string& project, const std::string& kind) {
                return h.fetch([&](auto& s) { return s.list(pool, project, kind); });
            },
            py::arg("pool"), py::arg("project"), py::arg("type") = "",
            "Volumes of a project and their snapshots, of one type or all.")
        .def(
            "get",
            [](const H& h, const std::string& pool, const std::string& project, const std::string& kind,
               const std::string& name) {
                return h.fetch([&](auto& s) { return s.get({pool, project, kind, name}); });
            },
            py::arg("pool"), py::arg("project"), py::arg("type"), py::arg("name"), "One. Raises NotFoundError.")
        .def(
            "state",
            [](const H& h, const std::string& pool, const std::string& project, const std::string& kind,
               const std::string& name) {
                return h.fetch([&](auto& s) { return s.state({pool, project, kind, name}); });
            },
            py::arg("pool"), py::arg("project"), py::arg("type"), py::arg("name"), "What it uses.")
        .def(
            "create",
            [](const H& h, const std::string& pool, const std::string& project, const py::dict& volume) {
                const auto post = from_python<api::StorageVolumesPost>(volume);
                return perhaps(h.call([&](auto& s) { return s.create(pool, project, post); }));
            },
            py::arg("pool"), py::arg("project"), py::arg("volume"), "Makes one, empty or as a copy.")
        .def(
            "update",
            [](const H& h, const std::string& pool, const std::string& project, const std::string& kind,
               const std::string& name, const py::dict& change, const std::string& etag) {
                const auto put = from_python<api::StorageVolumePut>(change);
                h.call([&](auto& s) { s.update({pool, project, kind, name}, put, etag); });
            },
            py::arg("pool"), py::arg("project"), py::arg("type"), py::arg("name"), py::arg("change"),
            py::arg("etag") = "", "Replaces what can be edited, or restores a snapshot.")
        .def(
            "move",
            [](const H& h, const std::string& pool, const std::string& project, const std::string& kind,
               const std::string& name, const py::dict& change) {
                const auto post = from_python<api::StorageVolumePost>(change);
                return perhaps(h.call([&](auto& s) { return s.move({pool, project, kind, name}, post); }));
            },
            py::arg("pool"), py::arg("project"), py::arg("type"), py::arg("name"), py::arg("change"),
            "Gives another name, pool or project.")
        .def(
            "delete",
            [](const H& h, const std::string& pool, const std::string& project, const std::string& kind,
               const std::string& name) { h.call([&](auto& s) {
                                              s.remove({pool, project, kind, name});
                                          }); },
            py::arg("pool"), py::arg("project"), py::arg("type"), py::arg("name"), "Removes an unused one.");
}

void def_snapshots(py::class_<H>& type) {
    type.def(
            "snapshots",
            [](const H& h, const std::string& pool, const std::string& project, const std::string& name) {
                return h.fetch([&](auto& s) { return s.snapshots({pool, project, "custom", name}); });
            },
            py::arg("pool"), py::arg("project"), py::arg("name"), "Snapshots of a custom volume.")
        .def(
            "snapshot",
            [](const H& h, const std::string& pool, const std::string& project, const std::string& name,
               const std::string& snapshot) {
                return h.fetch([&](auto& s) { return s.snapshot({pool, project, "custom", name}, snapshot); });
            },
            py::arg("pool"), py::arg("project"), py::arg("name"), py::arg("snapshot"), "One. Raises NotFoundError.")
        .def(
            "create_snapshot",
            [](const H& h, const std::string& pool, const std::string& project, const std::string& name,
               const py::dict& request) {
                const auto post = from_python<api::StorageVolumeSnapshotsPost>(request);
                return Op{h.call([&](auto& s) { return s.create_snapshot({pool, project, "custom", name}, post); })};
            },
            py::arg("pool"), py::arg("project"), py::arg("name"), py::arg("request"), "Makes one.")
        .def(
            "update_snapshot",
            [](const H& h, const std::string& pool, const std::string& project, const std::string& name,
               const std::string& snapshot, const py::dict& change, const std::string& etag) {
                const auto put = from_python<api::StorageVolumeSnapshotPut>(change);
                h.call([&](auto& s) { s.patch_snapshot({pool, project, "custom", name}, snapshot, put, etag); });
            },
            py::arg("pool"), py::arg("project"), py::arg("name"), py::arg("snapshot"), py::arg("change"),
            py::arg("etag") = "", "Changes description and expiry, where named.")
        .def(
            "rename_snapshot",
            [](const H& h, const std::string& pool, const std::string& project, const std::string& name,
               const std::string& snapshot, const std::string& new_name) {
                api::StorageVolumeSnapshotPost post;
                post.name = new_name;
                return Op{h.call([&](auto& s) {
                    return s.rename_snapshot({pool, project, "custom", name}, snapshot, post);
                })};
            },
            py::arg("pool"), py::arg("project"), py::arg("name"), py::arg("snapshot"), py::arg("new_name"),
            "Gives another name.")
        .def(
            "delete_snapshot",
            [](const H& h, const std::string& pool, const std::string& project, const std::string& name,
               const std::string& snapshot) {
                return Op{h.call([&](auto& s) {
                    return s.remove_snapshot({pool, project, "custom", name}, snapshot);
                })};
            },
            py::arg("pool"), py::arg("project"), py::arg("name"), py::arg("snapshot"), "Removes one.");
}

} // namespace

void init_volumes(py::module_& m) {
    py::class_<H> type{m, "StorageVolumeService", "Volumes of storage pools; usable from any thread."};
    def_volumes(type);
    def_snapshots(type);
}

} // namespace lxdcore::python
