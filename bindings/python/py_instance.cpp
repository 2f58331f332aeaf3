// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include <pybind11/stl.h>

#include <lxdcore/service/instance_service.hpp>

#include "bindings.hpp"
#include "convert.hpp"

namespace py = pybind11;

namespace lxdcore::python {

namespace {

/// A file in memory that collects one stream of a command.
class Capture {
public:
    explicit Capture(const char* name) : fd_{::memfd_create(name, MFD_CLOEXEC)} {
        if (fd_ < 0) throw_errno("memfd_create");
    }
    ~Capture() { ::close(fd_); }
    Capture(const Capture&) = delete;
    Capture& operator=(const Capture&) = delete;
    int fd() const noexcept { return fd_; }

    void fill(const std::string& data) const {
        for (std::size_t at = 0; at < data.size();) {
            const auto wrote = ::pwrite(fd_, data.data() + at, data.size() - at, static_cast<off_t>(at));
            if (wrote < 0 && errno != EINTR) throw_errno("write");
            at += static_cast<std::size_t>(std::max<ssize_t>(wrote, 0));
        }
    }
    py::bytes content() const {
        std::string out(static_cast<std::size_t>(::lseek(fd_, 0, SEEK_END)), '\0');
        std::size_t have = 0;
        while (have < out.size()) {
            const auto got = ::pread(fd_, out.data() + have, out.size() - have, static_cast<off_t>(have));
            if (got < 0 && errno == EINTR) continue;
            if (got <= 0) break;
            have += static_cast<std::size_t>(got);
        }
        out.resize(have);
        return out;
    }

private:
    int fd_;
};

InstanceRef ref(const std::string& name) { return {"default", name}; }

OperationPtr change(InstanceService& service, const std::string& name, const char* action, int timeout, bool force) {
    api::InstanceStatePut put;
    put.action = action;
    put.timeout = timeout;
    put.force = force;
    const py::gil_scoped_release release;
    return service.change_state(ref(name), put);
}

py::tuple exec(InstanceService& service, const std::string& name, const std::vector<std::string>& command,
               const py::bytes& input, const api::StringMap& environment, const std::string& cwd, std::uint32_t user,
               std::uint32_t group) {
    api::InstanceExecPost post;
    post.command = command;
    post.environment = environment;
    post.cwd = cwd;
    post.user = user;
    post.group = group;
    const Capture in{"stdin"}, out{"stdout"}, err{"stderr"};
    in.fill(input);
    OperationPtr operation;
    {
        const py::gil_scoped_release release;
        operation = service.exec(ref(name), post, {in.fd(), out.fd(), err.fd()});
    }
    const auto metadata = py::cast(operation).attr("result")();
    return py::make_tuple(metadata["return"], out.content(), err.content());
}

} // namespace

void init_instances(py::module_& m) {
    py::class_<InstanceService, std::shared_ptr<InstanceService>>(m, "InstanceService",
                                                                  "Life cycle of instances; usable from any thread.")
        .def("list",
             [](InstanceService& s) {
                 const auto json = [&] {
                     const py::gil_scoped_release release;
                     return nlohmann::json(s.list("default"));
                 }();
                 return to_python(json);
             })
        .def(
            "get", [](InstanceService& s, const std::string& name) { return api_to_python(s.get(ref(name))); },
            py::arg("name"), "Stored configuration and last known state. Raises NotFoundError.")
        .def(
            "state",
            [](InstanceService& s, const std::string& name) {
                api::InstanceState state;
                {
                    const py::gil_scoped_release release;
                    state = s.state(ref(name));
                }
                return api_to_python(state);
            },
            py::arg("name"))
        .def(
            "create",
            [](InstanceService& s, const py::dict& request) {
                const auto post = from_python<api::InstancesPost>(request);
                const py::gil_scoped_release release;
                return s.create("default", post);
            },
            py::arg("request"), "The body of POST /1.0/instances as a dict. Returns an Operation.")
        .def(
            "start", [](InstanceService& s, const std::string& name) { return change(s, name, "start", 0, false); },
            py::arg("name"))
        .def(
            "stop",
            [](InstanceService& s, const std::string& name, int timeout, bool force) {
                return change(s, name, "stop", timeout, force);
            },
            py::arg("name"), py::kw_only(), py::arg("timeout") = 30, py::arg("force") = false)
        .def(
            "delete", [](InstanceService& s, const std::string& name) { return s.remove(ref(name)); }, py::arg("name"),
            py::call_guard<py::gil_scoped_release>())
        .def("exec", &exec, py::arg("name"), py::arg("command"), py::kw_only(), py::arg("input") = py::bytes(),
             py::arg("environment") = api::StringMap{}, py::arg("cwd") = "", py::arg("user") = 0u,
             py::arg("group") = 0u, "Runs a command to its end; returns (exit code, stdout, stderr).");
}

} // namespace lxdcore::python
