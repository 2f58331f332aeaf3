// SPDX-License-Identifier: Apache-2.0
#include "convert.hpp"

#include <stdexcept>

namespace py = pybind11;

namespace lxdcore::python {

py::str text_to_python(const std::string& text) {
    auto* const object = PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "surrogateescape");
    if (object == nullptr) throw py::error_already_set();
    return py::reinterpret_steal<py::str>(object);
}

py::object to_python(const nlohmann::json& value) {
    switch (value.type()) {
    case nlohmann::json::value_t::object: {
        py::dict dict;
        for (const auto& [key, item] : value.items())
            dict[text_to_python(key)] = to_python(item);
        return dict;
    }
    case nlohmann::json::value_t::array: {
        py::list list;
        for (const auto& item : value)
            list.append(to_python(item));
        return list;
    }
    case nlohmann::json::value_t::string:
        return text_to_python(value.get_ref<const std::string&>());
    case nlohmann::json::value_t::boolean:
        return py::bool_(value.get<bool>());
    case nlohmann::json::value_t::number_integer:
        return py::int_(value.get<std::int64_t>());
    case nlohmann::json::value_t::number_unsigned:
        return py::int_(value.get<std::uint64_t>());
    case nlohmann::json::value_t::number_float:
        return py::float_(value.get<double>());
    default:
        return py::none();
    }
}

namespace {

/// No object of the API is nested half as deep; what contains itself would be without an end.
constexpr int kDeepest = 64;

std::int64_t to_integer(const py::handle& value) {
    int overflow = 0;
    const std::int64_t number = PyLong_AsLongLongAndOverflow(value.ptr(), &overflow);
    if (overflow != 0) throw std::overflow_error("an integer of the API has 64 bits");
    if (number == -1 && PyErr_Occurred() != nullptr) throw py::error_already_set();
    return number;
}

nlohmann::json to_json(const py::handle& value, int depth) {
    if (depth > kDeepest) throw py::value_error("nested too deeply, or containing itself");
    if (value.is_none()) return nullptr;
    if (py::isinstance<py::bool_>(value)) return value.cast<bool>();
    if (py::isinstance<py::int_>(value)) return to_integer(value);
    if (py::isinstance<py::float_>(value)) return value.cast<double>();
    if (py::isinstance<py::str>(value)) return value.cast<std::string>();
    if (py::isinstance<py::dict>(value)) {
        auto object = nlohmann::json::object();
        for (const auto& [key, item] : py::reinterpret_borrow<py::dict>(value))
            object[py::str(key).cast<std::string>()] = to_json(item, depth + 1);
        return object;
    }
    if (py::isinstance<py::list>(value) || py::isinstance<py::tuple>(value)) {
        auto array = nlohmann::json::array();
        for (const auto& item : py::reinterpret_borrow<py::sequence>(value))
            array.push_back(to_json(item, depth + 1));
        return array;
    }
    throw py::type_error("expected None, bool, int, float, str, dict, list or tuple");
}

} // namespace

nlohmann::json to_json(const py::handle& value) { return to_json(value, 0); }

} // namespace lxdcore::python
