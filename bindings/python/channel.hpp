// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include <lxdcore/operation.hpp>
#include <pybind11/pybind11.h>

namespace lxdcore::python {

/// The channel of an interactive operation as a Python object. @throws Error NotFound when it has none of that name
pybind11::object connect(const std::shared_ptr<Operation>& operation, const std::string& name);

} // namespace lxdcore::python
