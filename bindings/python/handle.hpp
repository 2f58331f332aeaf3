// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <unistd.h>

#include <memory>
#include <utility>

#include <pybind11/pybind11.h>

#include <lxdcore/error.hpp>

#include "convert.hpp"

namespace lxdcore::python {

/// What a Python object holds of the library. It is let go of without the GIL, because that waits for threads; and not
/// at all in a child made by fork(), where these threads are missing and the files are the parent's too.
template <typename T>
std::shared_ptr<T> hold(std::unique_ptr<T> object) {
    return {object.release(), [process = ::getpid()](T* held) {
                if (::getpid() != process) return;
                // At the end of the interpreter there may be no thread state to give back.
                if (PyGILState_Check() == 0) {
                    delete held;
                    return;
                }
                const pybind11::gil_scoped_release release;
                delete held;
            }};
}

/// Remembers which process made something.
class SameProcess {
public:
    void require_same() const {
        if (::getpid() != process_)
            throw Error{ErrorCode::BadState, "Made before fork(): a child process opens its own Core or Client"};
    }

private:
    pid_t process_ = ::getpid();
};

/// A service together with what it belongs to; only for the process that made it.
template <typename Service>
class Handle {
public:
    explicit Handle(std::shared_ptr<Service> service) : service_{std::move(service)} {}
    Service& get() const {
        process_.require_same();
        return *service_;
    }
    /// The same, kept.
    const std::shared_ptr<Service>& share() const {
        process_.require_same();
        return service_;
    }
    /// Calls without the GIL. What comes back must be no Python object.
    template <typename Call>
    auto call(Call&& call) const {
        auto& service = get();
        const pybind11::gil_scoped_release release;
        return call(service);
    }
    /// The same; an api struct or a list of them comes back as dict or list.
    template <typename Call>
    pybind11::object fetch(Call&& call) const {
        auto json = [&] {
            auto& service = get();
            const pybind11::gil_scoped_release release;
            return nlohmann::json(call(service));
        }();
        return to_python(json);
    }

private:
    std::shared_ptr<Service> service_;
    SameProcess process_;
};

} // namespace lxdcore::python
