// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "app.hpp"

namespace lxdcore::daemon {

/// Host shutdown: waits for operations (core.shutdown_timeout; not with @p force), stops the instances, then the
/// networks. The daemon answers meanwhile; the caller ends it afterwards.
void stop_everything(App& app, bool force);

} // namespace lxdcore::daemon
