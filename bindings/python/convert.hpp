// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>
#include <pybind11/pybind11.h>

namespace lxdcore::python {

/// API objects cross the border as what they are on the wire: dict, list, str, int, float, bool, None.
pybind11::object to_python(const nlohmann::json& value);
/// @throws pybind11::type_error for anything else
nlohmann::json to_json(const pybind11::handle& value);

/// An api struct from a dict; the GIL is held.
template <typename T>
T from_python(const pybind11::handle& value) {
    return to_json(value).get<T>();
}

template <typename T>
pybind11::object api_to_python(const T& value) {
    return to_python(nlohmann::json(value));
}

} // namespace lxdcore::python
