// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <pybind11/pybind11.h>

namespace lxdcore::python {

// One file per area.
void init_errors(pybind11::module_& m);
void init_channel(pybind11::module_& m);
void init_operation(pybind11::module_& m);
void init_events(pybind11::module_& m);
void init_images(pybind11::module_& m);
void init_services(pybind11::module_& m);
void init_volumes(pybind11::module_& m);
void init_volume_backups(pybind11::module_& m);
void init_server(pybind11::module_& m);
void init_instances(pybind11::module_& m);
void init_snapshots(pybind11::module_& m);
void init_metadata(pybind11::module_& m);
void init_backends(pybind11::module_& m);

} // namespace lxdcore::python
