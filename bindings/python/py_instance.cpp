// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <pybind11/stl.h>

#include <lxdcore/service/instance_service.hpp>

#include "bindings.hpp"
#include "handle.hpp"

namespace py = pybind11;

namespace lxdcore::python {

namespace {

using H = Handle<InstanceService>;
using Op = Handle<Operation>;

Op change_state(const H& h, const std::string& project, const std::string& name, const std::string& action, int timeout,
                bool force, bool stateful) {
    api::InstanceStatePut put;
    put.action = action;
    put.timeout = timeout;
    put.force = force;
    put.stateful = stateful;
    return Op{h.call([&](auto& s) { return s.change_state({project, name}, put); })};
}

Op change_all_states(const H& h, const std::string& project, const std::string& action, int timeout, bool force,
                     bool stateful) {
    api::InstanceStatePut put;
    put.action = action;
    put.timeout = timeout;
    put.force = force;
    put.stateful = stateful;
    return Op{h.call([&](auto& s) { return s.change_all_states(project, put); })};
}

Op exec(const H& h, const std::string& project, const std::string& name, const py::dict& request, int in, int out,
        int err) {
    const auto post = from_python<api::InstanceExecPost>(request);
    return Op{h.call([&](auto& s) { return s.exec({project, name}, post, {in, out, err}); })};
}

/// Keeps alive what fills a file's descriptor: content that was not read yet is lost with it.
template <typename Int>
py::capsule keep(const std::shared_ptr<Int>& fd) {
    using Owner = std::shared_ptr<Int>;
    return {new Owner{fd}, [](void* owner) {
                const Unlocked unlocked;
                delete static_cast<Owner*>(owner);
            }};
}

py::dict describe(const InstanceFile& file) {
    py::dict result;
    result["type"] = file.type;
    result["uid"] = file.uid;
    result["gid"] = file.gid;
    result["mode"] = file.mode;
    result["size"] = file.size;
    result["modified"] = file.modified.str();
    py::list entries;
    for (const auto& entry : file.entries)
        entries.append(text_to_python(entry));
    result["entries"] = entries;
    result["target"] = text_to_python(file.target);
    result["fd"] = file.fd ? ::dup(*file.fd) : -1;
    if (file.fd) result["source"] = keep(file.fd);
    return result;
}

void push_file(const H& h, const std::string& project, const std::string& name, const std::string& path,
               const std::string& type, std::optional<std::int64_t> uid, std::optional<std::int64_t> gid,
               std::optional<std::uint32_t> mode, bool append, const std::string& target, int fd) {
    InstanceFilePush push;
    push.path = path;
    push.type = type;
    push.uid = uid;
    push.gid = gid;
    push.mode = mode;
    push.append = append;
    push.symlink_target = target;
    push.content_fd = fd;
    h.call([&](auto& s) { s.push_file({project, name}, push); });
}

void def_reading(py::class_<H>& type) {
    type.def(
            "list",
            [](const H& h, const std::string& project) { return h.fetch([&](auto& s) { return s.list(project); }); },
            py::arg("project"), "All instances of a project.")
        .def(
            "names",
            [](const H& h, const std::string& project) { return h.call([&](auto& s) { return s.names(project); }); },
            py::arg("project"), "Their names.")
        .def(
            "get",
            [](const H& h, const std::string& project, const std::string& name) {
                return h.fetch([&](auto& s) { return s.get({project, name}); });
            },
            py::arg("project"), py::arg("name"), "Stored configuration and last known state. Raises NotFoundError.")
        .def(
            "state",
            [](const H& h, const std::string& project, const std::string& name) {
                return h.fetch([&](auto& s) { return s.state({project, name}); });
            },
            py::arg("project"), py::arg("name"), "What a running instance uses.");
}

void def_changing(py::class_<H>& type) {
    type.def(
            "create",
            [](const H& h, const std::string& project, const py::dict& request) {
                const auto post = from_python<api::InstancesPost>(request);
                return Op{h.call([&](auto& s) { return s.create(project, post); })};
            },
            py::arg("project"), py::arg("request"), "The body of POST /1.0/instances.")
        .def(
            "update",
            [](const H& h, const std::string& project, const std::string& name, const py::dict& instance,
               const std::string& etag) {
                const auto put = from_python<api::InstancePut>(instance);
                return Op{h.call([&](auto& s) { return s.update({project, name}, put, etag); })};
            },
            py::arg("project"), py::arg("name"), py::arg("instance"), py::arg("etag") = "",
            "Replaces what can be edited.")
        .def(
            "patch",
            [](const H& h, const std::string& project, const std::string& name, const py::dict& changes,
               const std::string& etag) {
                const auto patch = from_python<api::InstancePatch>(changes);
                h.call([&](auto& s) { s.patch({project, name}, patch, etag); });
            },
            py::arg("project"), py::arg("name"), py::arg("changes"), py::arg("etag") = "", "Changes what is named.")
        .def(
            "rename",
            [](const H& h, const std::string& project, const std::string& name, const std::string& new_name) {
                api::InstancePost post;
                post.name = new_name;
                return Op{h.call([&](auto& s) { return s.rename({project, name}, post); })};
            },
            py::arg("project"), py::arg("name"), py::arg("new_name"), "Gives another name.")
        .def(
            "delete",
            [](const H& h, const std::string& project, const std::string& name) {
                return Op{h.call([&](auto& s) { return s.remove({project, name}); })};
            },
            py::arg("project"), py::arg("name"), "Removes a stopped instance.")
        .def("change_state", &change_state, py::arg("project"), py::arg("name"), py::arg("action"),
             py::arg("timeout") = 30, py::arg("force") = false, py::arg("stateful") = false,
             "start, stop, restart, freeze or unfreeze.")
        .def("change_all_states", &change_all_states, py::arg("project"), py::arg("action"), py::arg("timeout") = 30,
             py::arg("force") = false, py::arg("stateful") = false,
             "The same for all instances of a project that it can apply to, as one operation.");
}

void def_inside(py::class_<H>& type) {
    type.def("exec", &exec, py::arg("project"), py::arg("name"), py::arg("request"), py::arg("stdin") = -1,
             py::arg("stdout") = -1, py::arg("stderr") = -1,
             "Runs a command on file descriptors of the caller, -1 is /dev/null. The operation ends with the command; "
             "its metadata has 'return'.")
        .def(
            "exec_terminal",
            [](const H& h, const std::string& project, const std::string& name, const py::dict& request) {
                auto post = from_python<api::InstanceExecPost>(request);
                post.interactive = post.wait_for_websocket = true;
                return Op{h.call([&](auto& s) { return s.exec({project, name}, post); })};
            },
            py::arg("project"), py::arg("name"), py::arg("request"),
            "Runs a command on a terminal of its own: channels '0' and 'control'.")
        .def(
            "pull_file",
            [](const H& h, const std::string& project, const std::string& name, const std::string& path, bool head) {
                return describe(h.call([&](auto& s) { return s.pull_file({project, name}, path, head); }));
            },
            py::arg("project"), py::arg("name"), py::arg("path"), py::arg("head_only") = false,
            "type, uid, gid, mode, size, modified, entries, target and fd, which is the caller's to close.")
        .def("push_file", &push_file, py::arg("project"), py::arg("name"), py::arg("path"), py::arg("type"),
             py::arg("uid"), py::arg("gid"), py::arg("mode"), py::arg("append"), py::arg("target"), py::arg("fd"),
             "Makes a file (from fd), directory or symlink.")
        .def(
            "delete_file",
            [](const H& h, const std::string& project, const std::string& name, const std::string& path) {
                h.call([&](auto& s) { s.remove_file({project, name}, path); });
            },
            py::arg("project"), py::arg("name"), py::arg("path"), "Removes a file or an empty directory.")
        .def(
            "console",
            [](const H& h, const std::string& project, const std::string& name, int width, int height) {
                return Op{h.call([&](auto& s) { return s.console({project, name}, width, height); })};
            },
            py::arg("project"), py::arg("name"), py::arg("width"), py::arg("height"),
            "Attaches to the console: channels '0' and 'control'.")
        .def(
            "sftp",
            [](const H& h, const std::string& project, const std::string& name) {
                const auto session = h.call([&](auto& s) { return s.sftp({project, name}); });
                const int fd = ::fcntl(*session, F_DUPFD_CLOEXEC, 3);
                if (fd < 0) throw_errno("dup");
                return py::make_tuple(fd, keep(session));
            },
            py::arg("project"), py::arg("name"),
            "A session: a stream socket, the caller's to close, and what keeps it going.")
        .def(
            "console_log",
            [](const H& h, const std::string& project, const std::string& name) {
                return py::bytes(h.call([&](auto& s) { return s.console_log({project, name}); }));
            },
            py::arg("project"), py::arg("name"), "What the console has shown.")
        .def(
            "clear_console_log",
            [](const H& h, const std::string& project, const std::string& name) {
                h.call([&](auto& s) { s.clear_console_log({project, name}); });
            },
            py::arg("project"), py::arg("name"), "Empties that.")
        .def(
            "logs",
            [](const H& h, const std::string& project, const std::string& name) {
                return h.call([&](auto& s) { return s.logs({project, name}); });
            },
            py::arg("project"), py::arg("name"), "Names of log files.")
        .def(
            "open_log",
            [](const H& h, const std::string& project, const std::string& name, const std::string& log) {
                return h.call([&](auto& s) { return s.open_log({project, name}, log); });
            },
            py::arg("project"), py::arg("name"), py::arg("log"), "A descriptor, the caller's to close.")
        .def(
            "delete_log",
            [](const H& h, const std::string& project, const std::string& name, const std::string& log) {
                h.call([&](auto& s) { s.remove_log({project, name}, log); });
            },
            py::arg("project"), py::arg("name"), py::arg("log"), "Removes a log file.");
}

} // namespace

void init_instances(py::module_& m) {
    py::class_<H> type{m, "InstanceService", "Life cycle of instances; usable from any thread."};
    def_reading(type);
    def_changing(type);
    def_inside(type);
}

} // namespace lxdcore::python
