// SPDX-License-Identifier: Apache-2.0
#include "convert.hpp"

namespace py = pybind11;

namespace lxdcore::python {

py::object to_python(const nlohmann::json& value) {
    switch (value.type()) {
    case nlohmann::json::value_t::object: {
        py::dict dict;
        for (const auto& [key, item] : value.items())
            dict[py::str(key)] = to_python(item);
        return dict;
    }
    case nlohmann::json::value_t::array: {
        py::list list;
        for (const auto& item : value)
            list.append(to_python(item));
        return list;
    }
    case nlohmann::json::value_t::string:
        return py::str(value.get_ref<const std::string&>());
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

nlohmann::json to_json(const py::handle& value) {
    if (value.is_none()) return nullptr;
    if (py::isinstance<py::bool_>(value)) return value.cast<bool>();
    if (py::isinstance<py::int_>(value)) return value.cast<std::int64_t>();
    if (py::isinstance<py::float_>(value)) return value.cast<double>();
    if (py::isinstance<py::str>(value)) return value.cast<std::string>();
    if (py::isinstance<py::dict>(value)) {
        auto object = nlohmann::json::object();
        for (const auto& [key, item] : py::reinterpret_borrow<py::dict>(value))
            object[py::str(key).cast<std::string>()] = to_json(item);
        return object;
    }
    if (py::isinstance<py::list>(value) || py::isinstance<py::tuple>(value)) {
        auto array = nlohmann::json::array();
        for (const auto& item : py::reinterpret_borrow<py::sequence>(value))
            array.push_back(to_json(item));
        return array;
    }
    throw py::type_error("expected None, bool, int, float, str, dict, list or tuple");
}

} // namespace lxdcore::python
