// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <array>
#include <filesystem>

#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include <lxdcore/client.hpp>
#include <lxdcore/core.hpp>

#include "bindings.hpp"
#include "descriptor.hpp"
#include "handle.hpp"

namespace py = pybind11;

namespace lxdcore::python {

namespace {

/// A Core or a Client that `with` can let go of. Its services share it: it ends with the last of them, so that none can
/// dangle.
template <typename T>
class Backend {
public:
    explicit Backend(std::unique_ptr<T> held) : held_{hold(std::move(held))} {}
    const std::shared_ptr<T>& get() const {
        process_.require_same();
        if (!held_) throw Error{ErrorCode::BadState, "It is closed"};
        return held_;
    }
    template <typename Service>
    Handle<Service> service(Service& (T::*accessor)() noexcept) const {
        const auto& held = get();
        return Handle<Service>{std::shared_ptr<Service>{held, &((*held).*accessor)()}};
    }
    void close() { held_.reset(); }
    bool closed() const noexcept { return !held_; }

private:
    SameProcess process_;
    std::shared_ptr<T> held_;
};

template <typename T>
py::class_<Backend<T>> def_backend(py::module_& m, const char* name, const char* doc) {
    using B = Backend<T>;
    py::class_<B> type{m, name, doc};
    const auto add = [&](const char* property, auto accessor, const char* text) {
        type.def_property_readonly(
            property, [accessor](const B& b) { return b.service(accessor); }, text);
    };
    add("instances", &T::instances, "Life cycle of instances, and what is in them.");
    add("snapshots", &T::instance_snapshots, "Snapshots of instances.");
    add("publishing", &T::publishing, "Images made of instances.");
    add("metadata", &T::instance_metadata, "Metadata and templates of instances.");
    add("backups", &T::backups, "Backups of instances.");
    add("images", &T::images, "Images and their aliases.");
    add("profiles", &T::profiles, "Profiles.");
    add("networks", &T::networks, "Networks.");
    add("storage", &T::storage, "Storage pools.");
    add("volumes", &T::volumes, "Storage volumes and their snapshots.");
    add("volume_backups", &T::volume_backups, "Backups of custom volumes.");
    add("server", &T::server, "Settings, trust store, projects.");
    add("warnings", &T::warnings, "What the administrator should know.");
    add("metrics", &T::metrics, "Figures for Prometheus.");
    add("operations", &T::operations, "What is worked on.");
    add("events", &T::events, "What happens.");
    type.def("close", &B::close, "Lets go of it once no service of it is used any more.")
        .def_property_readonly("closed", &B::closed, "True after close().");
    return type;
}

/// A line of JSON per record. What nobody reads in time is lost: no thread of the library waits for Python.
LogSink log_to(int fd) {
    return [fd = own_descriptor(fd)](const LogRecord& record) {
        static constexpr std::array kLevels{"TRACE", "DEBUG", "INFO", "WARNING", "ERROR"};
        const nlohmann::json object{{"level", kLevels.at(static_cast<std::size_t>(record.level))},
                                    {"message", record.message},
                                    {"context", record.context}};
        const auto line = object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + '\n';
        [[maybe_unused]] const auto size = ::write(*fd, line.data(), line.size());
    };
}

Backend<Core> open_core(const std::filesystem::path& state_dir, const std::filesystem::path& helper, bool autostart,
                        bool unprivileged_only, int log) {
    CoreOptions options;
    options.state_dir = std::filesystem::absolute(state_dir);
    options.helper = helper;
    options.autostart = autostart;
    options.unprivileged_only = unprivileged_only;
    if (log >= 0) options.log = log_to(log);
    const Unlocked release;
    return Backend<Core>{std::make_unique<Core>(std::move(options))};
}

struct Seconds {
    static std::chrono::milliseconds of(double seconds) {
        return std::chrono::milliseconds{static_cast<std::int64_t>(seconds * 1000)};
    }
};

Backend<Client> open_client(const std::string& url, const std::filesystem::path& certificate,
                            const std::filesystem::path& key, const std::filesystem::path& server_certificate,
                            const std::string& server_fingerprint, double connect_timeout, double timeout) {
    ClientOptions options;
    options.url = url;
    options.certificate = certificate;
    options.key = key;
    options.server_certificate = server_certificate;
    options.server_fingerprint = server_fingerprint;
    options.connect_timeout = Seconds::of(connect_timeout);
    options.timeout = Seconds::of(timeout);
    const Unlocked release; // certificates are read, wherever they are
    return Backend<Client>{std::make_unique<Client>(std::move(options))};
}

} // namespace

void init_backends(py::module_& m) {
    const std::filesystem::path none;
    def_backend<Core>(m, "Core", "A container manager on one state directory, in this process.")
        .def(py::init(&open_core), py::arg("state_dir"), py::arg("helper") = none, py::arg("autostart") = false,
             py::arg("unprivileged_only") = false, py::arg("log") = -1,
             "Opens the directory. log is a descriptor that gets a line of JSON per record; it is duplicated.");
    def_backend<Client>(m, "Client", "A daemon elsewhere.")
        .def(py::init(&open_client), py::arg("url") = "", py::arg("certificate") = none, py::arg("key") = none,
             py::arg("server_certificate") = none, py::arg("server_fingerprint") = "",
             py::arg("connect_timeout") = 10.0, py::arg("timeout") = 0.0,
             "Connects with the first call. Certificates and the key are PEM files; times are seconds, timeout 0 is "
             "none.")
        .def(
            "request",
            [](const Backend<Client>& b, const std::string& method, const std::string& path, const py::object& body) {
                const auto client = b.get();
                const auto json = to_json(body);
                const auto reply = [&] {
                    const Unlocked release;
                    return client->request(method, path, json);
                }();
                return to_python(reply);
            },
            py::arg("method"), py::arg("path"), py::arg("body") = py::none(), "The metadata of the answer.")
        .def(
            "request_operation",
            [](const Backend<Client>& b, const std::string& method, const std::string& path, const py::object& body) {
                const auto client = b.get();
                const auto json = to_json(body);
                const Unlocked release;
                return Handle<Operation>{client->request_operation(method, path, json)};
            },
            py::arg("method"), py::arg("path"), py::arg("body") = py::none(), "For what answers with an operation.")
        .def(
            "trust",
            [](const Backend<Client>& b, const std::string& password) {
                const auto client = b.get();
                const Unlocked release;
                client->trust(password);
            },
            py::arg("password"), "Asks the server to trust our certificate.");
}

} // namespace lxdcore::python
