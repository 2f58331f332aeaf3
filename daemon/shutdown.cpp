// SPDX-License-Identifier: Apache-2.0
#include "shutdown.hpp"

#include <charconv>

#include <lxdcore/error.hpp>

namespace lxdcore::daemon {

namespace {

/// core.shutdown_timeout is in minutes.
std::chrono::minutes patience_for_operations(App& app) {
    constexpr int kDefault = 5;
    int minutes = kDefault;
    try {
        const auto text = app.core.server.get("core.shutdown_timeout");
        std::from_chars(text.data(), text.data() + text.size(), minutes);
    } catch (const Error& error) {
        app.log.warning("Failed to read core.shutdown_timeout", {{"err", error.what()}});
    }
    return std::chrono::minutes{minutes};
}

} // namespace

void stop_everything(App& app, bool force) {
    constexpr std::chrono::seconds kPatience{30};
    if (!force) app.core.operations.drain(patience_for_operations(app));
    app.core.instances.stop_all(kPatience);
    app.core.networks.stop_all();
}

} // namespace lxdcore::daemon
