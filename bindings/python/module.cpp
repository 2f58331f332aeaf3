// SPDX-License-Identifier: Apache-2.0
#include <pybind11/pybind11.h>

#include "bindings.hpp"

PYBIND11_MODULE(_lxdcore, m) {
    m.doc() = "System containers in process; see the package lxdcore.";
    lxdcore::python::init_errors(m);
    lxdcore::python::init_operation(m);
    lxdcore::python::init_services(m);
    lxdcore::python::init_instances(m);
    lxdcore::python::init_core(m);
}
