// SPDX-License-Identifier: Apache-2.0
#include <filesystem>

#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include <lxdcore/service/image_service.hpp>
#include <lxdcore/service/network_service.hpp>
#include <lxdcore/service/profile_service.hpp>
#include <lxdcore/service/storage_service.hpp>

#include "bindings.hpp"
#include "convert.hpp"

namespace py = pybind11;

namespace lxdcore::python {

namespace {

constexpr const char* kProject = "default";

/// Runs a blocking call without the GIL and converts what it gives with it.
template <typename F>
py::object released(F&& call) {
    const nlohmann::json json = [&] {
        const py::gil_scoped_release release;
        return nlohmann::json(call());
    }();
    return to_python(json);
}

OperationPtr import_file(ImageService& images, const std::filesystem::path& metadata,
                         const std::optional<std::filesystem::path>& rootfs, const std::vector<std::string>& aliases,
                         const api::StringMap& properties) {
    ImageUpload upload;
    upload.filename = metadata.filename();
    upload.properties = properties;
    for (const auto& name : aliases)
        upload.aliases.push_back({name, ""});
    const py::gil_scoped_release release;
    return images.import_files(upload, std::filesystem::absolute(metadata),
                               rootfs ? std::filesystem::absolute(*rootfs).string() : "");
}

void init_images(py::module_& m) {
    py::class_<ImageService, std::shared_ptr<ImageService>>(m, "ImageService", "Images; usable from any thread.")
        .def("list", [](ImageService& s) { return released([&] { return s.list(kProject, false); }); })
        .def(
            "get",
            [](ImageService& s, const std::string& fingerprint) {
                return released([&] { return s.get(kProject, fingerprint, false); });
            },
            py::arg("fingerprint"))
        .def("import_file", &import_file, py::arg("metadata"), py::arg("rootfs") = py::none(), py::kw_only(),
             py::arg("aliases") = std::vector<std::string>{}, py::arg("properties") = api::StringMap{},
             "Imports a unified tarball, or metadata and rootfs. Returns an Operation with the fingerprint.")
        .def(
            "delete", [](ImageService& s, const std::string& fingerprint) { return s.remove(kProject, fingerprint); },
            py::arg("fingerprint"), py::call_guard<py::gil_scoped_release>());
}

} // namespace

void init_services(py::module_& m) {
    init_images(m);
    py::class_<ProfileService, std::shared_ptr<ProfileService>>(m, "ProfileService",
                                                                "Profiles; usable from any thread.")
        .def("list", [](ProfileService& s) { return released([&] { return s.list(kProject); }); })
        .def(
            "get",
            [](ProfileService& s, const std::string& name) { return released([&] { return s.get(kProject, name); }); },
            py::arg("name"))
        .def(
            "update",
            [](ProfileService& s, const std::string& name, const py::dict& profile) {
                const auto put = from_python<api::ProfilePut>(profile);
                const py::gil_scoped_release release;
                s.update(kProject, name, put, "");
            },
            py::arg("name"), py::arg("profile"), "Replaces config, devices and description.");
    py::class_<NetworkService, std::shared_ptr<NetworkService>>(m, "NetworkService",
                                                                "Networks; usable from any thread.")
        .def("list", [](NetworkService& s) { return released([&] { return s.list(kProject); }); })
        .def(
            "get",
            [](NetworkService& s, const std::string& name) { return released([&] { return s.get(kProject, name); }); },
            py::arg("name"))
        .def(
            "create",
            [](NetworkService& s, const py::dict& network) {
                const auto post = from_python<api::NetworksPost>(network);
                const py::gil_scoped_release release;
                s.create(kProject, post);
            },
            py::arg("network"))
        .def(
            "delete", [](NetworkService& s, const std::string& name) { s.remove(kProject, name); }, py::arg("name"),
            py::call_guard<py::gil_scoped_release>());
    py::class_<StorageService, std::shared_ptr<StorageService>>(m, "StorageService",
                                                                "Storage pools; usable from any thread.")
        .def("list", [](StorageService& s) { return released([&] { return s.list(); }); })
        .def(
            "get", [](StorageService& s, const std::string& name) { return released([&] { return s.get(name); }); },
            py::arg("name"))
        .def(
            "create",
            [](StorageService& s, const py::dict& pool) {
                const auto post = from_python<api::StoragePoolsPost>(pool);
                const py::gil_scoped_release release;
                s.create(post);
            },
            py::arg("pool"))
        .def("delete", &StorageService::remove, py::arg("name"), py::call_guard<py::gil_scoped_release>());
}

} // namespace lxdcore::python
