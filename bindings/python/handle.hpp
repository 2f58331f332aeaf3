// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <unistd.h>

#include <memory>
#include <type_traits>
#include <utility>

#include <pybind11/pybind11.h>

#include <lxdcore/error.hpp>
#include <lxdcore/operation.hpp>

#include "convert.hpp"
#include "gil.hpp"

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
                const Unlocked release;
                delete held;
            }};
}

/// Remembers which process made something.
class SameProcess {
public:
    bool is_same() const noexcept { return ::getpid() == process_; }
    void require_same() const {
        if (!is_same())
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
    ~Handle() {
        // Other services are of a backend, which hold() made.
        if constexpr (std::is_same_v<Service, Operation>) let_go();
    }
    Handle(const Handle&) = default;
    Handle(Handle&&) noexcept = default;
    Handle& operator=(const Handle&) = delete;
    Handle& operator=(Handle&&) = delete;
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
        const Unlocked release;
        return call(service);
    }
    /// The same; an api struct or a list of them comes back as dict or list.
    template <typename Call>
    pybind11::object fetch(Call&& call) const {
        auto json = [&] {
            auto& service = get();
            const Unlocked release;
            return nlohmann::json(call(service));
        }();
        return to_python(json);
    }

private:
    /// With the last operation of a client its threads may end.
    void let_go() noexcept {
        if (!service_) return;
        if (!process_.is_same()) {
            [[maybe_unused]] const auto* left = new std::shared_ptr<Service>{std::move(service_)};
        } else if (PyGILState_Check() != 0) {
            const Unlocked release;
            service_.reset();
        }
    }

    std::shared_ptr<Service> service_;
    SameProcess process_;
};

} // namespace lxdcore::python
