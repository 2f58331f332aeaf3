// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <string>

#include <lxdcore/export.hpp>

namespace lxdcore {

/// How much a record matters; nothing is left out by it.
enum class LogLevel { Trace, Debug, Info, Warning, Error };

/// One record: a fixed text and named values. Secrets never go in.
struct LogRecord {
    LogLevel level = LogLevel::Info;
    std::string message;
    std::map<std::string, std::string> context;
};

/// Where records go. Called from any thread, must not throw and must not call back into Core.
using LogSink = std::function<void(const LogRecord&)>;

/// Front of a sink; services hold a reference. Thread-safe, if the sink is.
class LXDCORE_API Logger {
public:
    using Context = std::map<std::string, std::string>;
    /// Without a sink records go nowhere.
    explicit Logger(LogSink sink = {}) : sink_{std::move(sink)} {}
    /// One record, at once, on this thread; the same for each level.
    void debug(std::string message, Context context = {}) const {
        log(LogLevel::Debug, std::move(message), std::move(context));
    }
    void info(std::string message, Context context = {}) const {
        log(LogLevel::Info, std::move(message), std::move(context));
    }
    void warning(std::string message, Context context = {}) const {
        log(LogLevel::Warning, std::move(message), std::move(context));
    }
    void error(std::string message, Context context = {}) const {
        log(LogLevel::Error, std::move(message), std::move(context));
    }
    void log(LogLevel level, std::string message, Context context) const {
        if (sink_) sink_(LogRecord{level, std::move(message), std::move(context)});
    }

private:
    LogSink sink_;
};

} // namespace lxdcore
