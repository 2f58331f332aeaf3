// SPDX-License-Identifier: Apache-2.0
#include "logging.hpp"

#include <algorithm>
#include <ctime>

#include <fmt/chrono.h>
#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/sinks/syslog_sink.h>

namespace lxdcore::daemon {

namespace {

std::string_view name_of(LogLevel level) {
    switch (level) {
    case LogLevel::Trace:
        return "trace";
    case LogLevel::Debug:
        return "debug";
    case LogLevel::Info:
        return "info";
    case LogLevel::Warning:
        return "warning";
    case LogLevel::Error:
        break;
    }
    return "error";
}

std::string quote(std::string_view text) {
    std::string out = "\"";
    for (const unsigned char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        if (c == '\n')
            out += "\\n";
        else if (c < 0x20 || c == 0x7f)
            out += fmt::format("\\x{:02x}", c);
        else
            out += static_cast<char>(c);
    }
    return out + '"';
}

std::string value_of(std::string_view text) {
    const bool plain = !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
        return c > 0x20 && c < 0x7f && c != '"' && c != '=' && c != '\\';
    });
    return plain ? std::string{text} : quote(text);
}

} // namespace

std::string log_line(const LogRecord& record, const std::string& time) {
    auto line = fmt::format("time=\"{}\" level={} msg={}", time, name_of(record.level), quote(record.message));
    for (const auto& [key, value] : record.context)
        line += fmt::format(" {}={}", key, value_of(value));
    return line;
}

LogSink make_log_sink(const LogOptions& options) {
    std::vector<spdlog::sink_ptr> sinks{std::make_shared<spdlog::sinks::stderr_sink_mt>()};
    if (!options.file.empty()) sinks.push_back(std::make_shared<spdlog::sinks::basic_file_sink_mt>(options.file));
    if (options.syslog)
        sinks.push_back(std::make_shared<spdlog::sinks::syslog_sink_mt>("lxd", LOG_PID, LOG_DAEMON, false));
    for (auto& sink : sinks)
        sink->set_formatter(std::make_unique<spdlog::pattern_formatter>("%v"));
    auto logger = std::make_shared<spdlog::logger>("lxd", sinks.begin(), sinks.end());
    logger->set_level(spdlog::level::trace);
    logger->flush_on(spdlog::level::trace);
    return [logger, least = options.level](const LogRecord& record) {
        if (record.level < least) return;
        const auto time = fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
        logger->log(spdlog::level::info, "{}", log_line(record, time));
    };
}

} // namespace lxdcore::daemon
