// SPDX-License-Identifier: Apache-2.0
#include <pybind11/pybind11.h>

#include "bindings.hpp"

PYBIND11_MODULE(_lxdcore, m) {
    m.doc() = "The services of liblxdcore as they are; the package lxdcore is what programs use.";
    lxdcore::python::init_errors(m);
    lxdcore::python::init_channel(m);
    lxdcore::python::init_operation(m);
    lxdcore::python::init_events(m);
    lxdcore::python::init_images(m);
    lxdcore::python::init_services(m);
    lxdcore::python::init_server(m);
    lxdcore::python::init_instances(m);
    lxdcore::python::init_snapshots(m);
    lxdcore::python::init_volumes(m);
    lxdcore::python::init_volume_backups(m);
    lxdcore::python::init_metadata(m);
    lxdcore::python::init_backends(m);
}
