// SPDX-License-Identifier: Apache-2.0
#include <pybind11/stl.h>

#include <lxdcore/service/volume_backup_service.hpp>

#include "bindings.hpp"
#include "descriptor.hpp"
#include "handle.hpp"

namespace py = pybind11;

namespace lxdcore::python {

namespace {

using H = Handle<VolumeBackupService>;
using Op = Handle<Operation>;
using Text = std::string;

Op import_backup(const H& h, const Text& pool, const Text& project, const Text& name, int fd) {
    const VolumeImport request{.pool = pool, .project = project, .name = name, .archive = own_descriptor(fd)};
    return Op{h.call([&](auto& s) { return s.import_backup(request); })};
}

} // namespace

void init_volume_backups(py::module_& m) {
    py::class_<H>(m, "VolumeBackupService", "Backups of custom volumes; usable from any thread.")
        .def(
            "list",
            [](const H& h, const Text& pool, const Text& project, const Text& volume) {
                return h.fetch([&](auto& s) { return s.backups({pool, project, "custom", volume}); });
            },
            py::arg("pool"), py::arg("project"), py::arg("volume"), "All of a volume, in the order of their making.")
        .def(
            "get",
            [](const H& h, const Text& pool, const Text& project, const Text& volume, const Text& name) {
                return h.fetch([&](auto& s) { return s.backup({pool, project, "custom", volume}, name); });
            },
            py::arg("pool"), py::arg("project"), py::arg("volume"), py::arg("name"), "One. Raises NotFoundError.")
        .def(
            "create",
            [](const H& h, const Text& pool, const Text& project, const Text& volume, const py::dict& request) {
                const auto post = from_python<api::StorageVolumeBackupsPost>(request);
                return Op{h.call([&](auto& s) { return s.create_backup({pool, project, "custom", volume}, post); })};
            },
            py::arg("pool"), py::arg("project"), py::arg("volume"), py::arg("request"), "Makes one.")
        .def(
            "rename",
            [](const H& h, const Text& pool, const Text& project, const Text& volume, const Text& name,
               const Text& new_name) {
                return Op{h.call([&](auto& s) {
                    return s.rename_backup({pool, project, "custom", volume}, name, new_name);
                })};
            },
            py::arg("pool"), py::arg("project"), py::arg("volume"), py::arg("name"), py::arg("new_name"),
            "Gives another name.")
        .def(
            "delete",
            [](const H& h, const Text& pool, const Text& project, const Text& volume, const Text& name) {
                return Op{h.call([&](auto& s) { return s.remove_backup({pool, project, "custom", volume}, name); })};
            },
            py::arg("pool"), py::arg("project"), py::arg("volume"), py::arg("name"), "Removes one.")
        .def(
            "open",
            [](const H& h, const Text& pool, const Text& project, const Text& volume, const Text& name) {
                return h.call([&](auto& s) { return s.open_backup({pool, project, "custom", volume}, name).fd; });
            },
            py::arg("pool"), py::arg("project"), py::arg("volume"), py::arg("name"),
            "A descriptor of its file, the caller's to close.")
        .def("import_backup", &import_backup, py::arg("pool"), py::arg("project"), py::arg("name"), py::arg("fd"),
             "Makes a custom volume of a file; '' is what the backup says.");
}

} // namespace lxdcore::python
