// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include <nlohmann/json.hpp>
#include <pybind11/pybind11.h>

namespace lxdcore::python {

/// Names of files need not be UTF-8: what is not comes back as surrogates, as os.fsdecode() does it.
pybind11::str text_to_python(const std::string& text);
/// API objects cross the border as what they are on the wire: dict, list, str, int, float, bool, None.
pybind11::object to_python(const nlohmann::json& value);
/// @throws pybind11::type_error for anything else, value_error for what is nested too deeply, std::overflow_error for
/// an integer that has no 64 bits
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
