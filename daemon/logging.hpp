// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include <lxdcore/log.hpp>

namespace lxdcore::daemon {

struct LogOptions {
    LogLevel level = LogLevel::Warning; ///< the least that is written
    std::string file;                   ///< besides standard error; "": none
    bool syslog = false;
};

/// A sink that writes lines as LXD does: time="…" level=info msg="…" key=value.
LogSink make_log_sink(const LogOptions& options);
/// One record as such a line, without its end. Values are quoted where they need it, so a line is always one line.
std::string log_line(const LogRecord& record, const std::string& time);

} // namespace lxdcore::daemon
