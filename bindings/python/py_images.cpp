// SPDX-License-Identifier: Apache-2.0
#include <filesystem>

#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include <lxdcore/service/image_service.hpp>

#include "bindings.hpp"
#include "handle.hpp"

namespace py = pybind11;

namespace lxdcore::python {

namespace {

using H = Handle<ImageService>;

Handle<Operation> import_file(const H& h, const std::filesystem::path& metadata,
                              const std::optional<std::filesystem::path>& rootfs,
                              const std::vector<std::string>& aliases, const api::StringMap& properties, bool is_public,
                              const std::string& project) {
    ImageUpload upload;
    upload.project = project;
    upload.filename = metadata.filename().string();
    upload.is_public = is_public;
    upload.properties = properties;
    for (const auto& alias : aliases)
        upload.aliases.push_back({alias, ""});
    const auto first = std::filesystem::absolute(metadata).string();
    const auto second = rootfs ? std::filesystem::absolute(*rootfs).string() : std::string{};
    return Handle<Operation>{h.call([&](auto& s) { return s.import_files(upload, first, second); })};
}

void init_aliases(py::class_<H>& type) {
    type.def(
            "aliases",
            [](const H& h, const std::string& project) { return h.fetch([&](auto& s) { return s.aliases(project); }); },
            py::arg("project"), "All aliases of a project.")
        .def(
            "alias",
            [](const H& h, const std::string& project, const std::string& name) {
                return h.fetch([&](auto& s) { return s.alias(project, name, false); });
            },
            py::arg("project"), py::arg("name"), "One alias. Raises NotFoundError.")
        .def(
            "create_alias",
            [](const H& h, const std::string& project, const py::dict& alias) {
                const auto post = from_python<api::ImageAlias>(alias);
                h.call([&](auto& s) { s.create_alias(project, post); });
            },
            py::arg("project"), py::arg("alias"), "Makes an alias.")
        .def(
            "update_alias",
            [](const H& h, const std::string& project, const std::string& name, const py::dict& changes,
               const std::string& etag) {
                const auto patch = from_python<api::ImageAliasPatch>(changes);
                h.call([&](auto& s) { s.update_alias(project, name, patch, etag); });
            },
            py::arg("project"), py::arg("name"), py::arg("changes"), py::arg("etag") = "",
            "Changes description and target.")
        .def(
            "rename_alias",
            [](const H& h, const std::string& project, const std::string& name, const std::string& new_name) {
                h.call([&](auto& s) { s.rename_alias(project, name, new_name); });
            },
            py::arg("project"), py::arg("name"), py::arg("new_name"), "Gives an alias another name.")
        .def(
            "delete_alias",
            [](const H& h, const std::string& project, const std::string& name) {
                h.call([&](auto& s) { s.remove_alias(project, name); });
            },
            py::arg("project"), py::arg("name"), "Removes an alias.");
}

} // namespace

void init_images(py::module_& m) {
    py::class_<H> type{m, "ImageService", "Images; usable from any thread."};
    type.def(
            "list",
            [](const H& h, const std::string& project) {
                return h.fetch([&](auto& s) { return s.list(project, false); });
            },
            py::arg("project"), "All images of a project.")
        .def(
            "get",
            [](const H& h, const std::string& project, const std::string& fingerprint) {
                return h.fetch([&](auto& s) { return s.get(project, fingerprint, false); });
            },
            py::arg("project"), py::arg("fingerprint"), "One image, by at least 12 digits. Raises NotFoundError.")
        .def("import_file", &import_file, py::arg("metadata"), py::arg("rootfs"), py::arg("aliases"),
             py::arg("properties"), py::arg("public"), py::arg("project"),
             "Imports a unified tarball, or metadata and rootfs; the operation has the fingerprint.")
        .def(
            "patch",
            [](const H& h, const std::string& project, const std::string& fingerprint, const py::dict& changes,
               const std::string& etag) {
                const auto patch = from_python<api::ImagePatch>(changes);
                h.call([&](auto& s) { s.patch(project, fingerprint, patch, etag); });
            },
            py::arg("project"), py::arg("fingerprint"), py::arg("changes"), py::arg("etag") = "",
            "Changes what is named.")
        .def(
            "export",
            [](const H& h, const std::string& project, const std::string& fingerprint) {
                const auto files = h.call([&](auto& s) { return s.open_export(project, fingerprint, false); });
                py::list list;
                for (const auto& file : files)
                    list.append(py::make_tuple(file.name, file.fd, file.size));
                return list;
            },
            py::arg("project"), py::arg("fingerprint"),
            "One file (unified) or two: (name, descriptor, size), the descriptors are the caller's to close.")
        .def(
            "delete",
            [](const H& h, const std::string& project, const std::string& fingerprint) {
                return Handle<Operation>{h.call([&](auto& s) { return s.remove(project, fingerprint); })};
            },
            py::arg("project"), py::arg("fingerprint"), "Removes an image.")
        .def(
            "refresh",
            [](const H& h, const std::string& project, const std::string& fingerprint) {
                return Handle<Operation>{h.call([&](auto& s) { return s.refresh(project, fingerprint); })};
            },
            py::arg("project"), py::arg("fingerprint"),
            "Looks for a newer one where it came from; the operation has 'refreshed'.")
        .def(
            "create_secret",
            [](const H& h, const std::string& project, const std::string& fingerprint) {
                return Handle<Operation>{h.call([&](auto& s) { return s.create_secret(project, fingerprint); })};
            },
            py::arg("project"), py::arg("fingerprint"), "Lets a stranger read it once: the operation has 'secret'.");
    init_aliases(type);
}

} // namespace lxdcore::python
