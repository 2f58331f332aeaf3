// SPDX-License-Identifier: Apache-2.0
#include <pybind11/stl.h>

#include <lxdcore/service/network_service.hpp>
#include <lxdcore/service/profile_service.hpp>
#include <lxdcore/service/storage_service.hpp>
#include <lxdcore/service/warning_service.hpp>

#include "bindings.hpp"
#include "handle.hpp"

namespace py = pybind11;

namespace lxdcore::python {

namespace {

/// What profiles and networks have in common: named objects of a project.
template <typename Service, typename Post, typename Put, typename Patch>
py::class_<Handle<Service>> def_objects(py::module_& m, const char* name, const char* doc) {
    using H = Handle<Service>;
    py::class_<H> type{m, name, doc};
    type.def(
            "list",
            [](const H& h, const std::string& project) { return h.fetch([&](auto& s) { return s.list(project); }); },
            py::arg("project"), "All objects of a project.")
        .def(
            "names",
            [](const H& h, const std::string& project) { return h.call([&](auto& s) { return s.names(project); }); },
            py::arg("project"), "Their names.")
        .def(
            "get",
            [](const H& h, const std::string& project, const std::string& name) {
                return h.fetch([&](auto& s) { return s.get(project, name); });
            },
            py::arg("project"), py::arg("name"), "One. Raises NotFoundError.")
        .def(
            "create",
            [](const H& h, const std::string& project, const py::dict& object) {
                const auto post = from_python<Post>(object);
                h.call([&](auto& s) { s.create(project, post); });
            },
            py::arg("project"), py::arg("object"), "Makes one.")
        .def(
            "update",
            [](const H& h, const std::string& project, const std::string& name, const py::dict& object,
               const std::string& etag) {
                const auto put = from_python<Put>(object);
                h.call([&](auto& s) { s.update(project, name, put, etag); });
            },
            py::arg("project"), py::arg("name"), py::arg("object"), py::arg("etag") = "",
            "Replaces what can be edited.")
        .def(
            "patch",
            [](const H& h, const std::string& project, const std::string& name, const py::dict& changes,
               const std::string& etag) {
                const auto patch = from_python<Patch>(changes);
                h.call([&](auto& s) { s.patch(project, name, patch, etag); });
            },
            py::arg("project"), py::arg("name"), py::arg("changes"), py::arg("etag") = "", "Changes what is named.")
        .def(
            "rename",
            [](const H& h, const std::string& project, const std::string& name, const std::string& new_name) {
                h.call([&](auto& s) { s.rename(project, name, new_name); });
            },
            py::arg("project"), py::arg("name"), py::arg("new_name"), "Gives another name.")
        .def(
            "delete",
            [](const H& h, const std::string& project, const std::string& name) {
                h.call([&](auto& s) { s.remove(project, name); });
            },
            py::arg("project"), py::arg("name"), "Removes one.");
    return type;
}

void init_networks(py::module_& m) {
    using H = Handle<NetworkService>;
    auto type = def_objects<NetworkService, api::NetworksPost, api::NetworkPut, api::NetworkPatch>(
        m, "NetworkService", "Networks; usable from any thread.");
    type.def(
            "leases",
            [](const H& h, const std::string& project, const std::string& name) {
                return h.fetch([&](auto& s) { return s.leases(project, name); });
            },
            py::arg("project"), py::arg("name"), "Addresses that were given out.")
        .def(
            "state",
            [](const H& h, const std::string& project, const std::string& name) {
                return h.fetch([&](auto& s) { return s.state(project, name); });
            },
            py::arg("project"), py::arg("name"), "Addresses and counters.");
}

void init_storage(py::module_& m) {
    using H = Handle<StorageService>;
    py::class_<H>(m, "StorageService", "Storage pools; usable from any thread.")
        .def(
            "list", [](const H& h) { return h.fetch([](auto& s) { return s.list(); }); }, "All pools.")
        .def(
            "names", [](const H& h) { return h.call([](auto& s) { return s.names(); }); }, "Their names.")
        .def(
            "get", [](const H& h, const std::string& name) { return h.fetch([&](auto& s) { return s.get(name); }); },
            py::arg("name"), "One pool. Raises NotFoundError.")
        .def(
            "create",
            [](const H& h, const py::dict& pool) {
                const auto post = from_python<api::StoragePoolsPost>(pool);
                h.call([&](auto& s) { s.create(post); });
            },
            py::arg("pool"), "Makes a pool.")
        .def(
            "update",
            [](const H& h, const std::string& name, const py::dict& pool, const std::string& etag) {
                const auto put = from_python<api::StoragePoolPut>(pool);
                h.call([&](auto& s) { s.update(name, put, etag); });
            },
            py::arg("name"), py::arg("pool"), py::arg("etag") = "", "Replaces config and description.")
        .def(
            "patch",
            [](const H& h, const std::string& name, const py::dict& changes, const std::string& etag) {
                const auto patch = from_python<api::StoragePoolPatch>(changes);
                h.call([&](auto& s) { s.patch(name, patch, etag); });
            },
            py::arg("name"), py::arg("changes"), py::arg("etag") = "", "Changes what is named.")
        .def(
            "delete", [](const H& h, const std::string& name) { h.call([&](auto& s) { s.remove(name); }); },
            py::arg("name"), "Removes an unused pool.")
        .def(
            "resources",
            [](const H& h, const std::string& name) { return h.fetch([&](auto& s) { return s.resources(name); }); },
            py::arg("name"), "Space and inodes.");
}

void init_warnings(py::module_& m) {
    using H = Handle<WarningService>;
    py::class_<H>(m, "WarningService", "What the administrator should know; usable from any thread.")
        .def(
            "list",
            [](const H& h, const std::string& project) { return h.fetch([&](auto& s) { return s.list(project); }); },
            py::arg("project") = "", "Warnings of a project, or all.")
        .def(
            "acknowledge",
            [](const H& h, const std::string& uuid) { h.call([&](auto& s) { s.set_status(uuid, "acknowledged"); }); },
            py::arg("uuid"), "Marks one as read.")
        .def(
            "delete", [](const H& h, const std::string& uuid) { h.call([&](auto& s) { s.remove(uuid); }); },
            py::arg("uuid"), "Removes one.");
}

} // namespace

void init_services(py::module_& m) {
    def_objects<ProfileService, api::ProfilesPost, api::ProfilePut, api::ProfilePatch>(
        m, "ProfileService", "Profiles; usable from any thread.");
    init_networks(m);
    init_storage(m);
    init_warnings(m);
}

} // namespace lxdcore::python
