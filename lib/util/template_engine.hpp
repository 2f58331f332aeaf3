// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <string_view>

namespace lxdcore {

/// What a template may look at: nothing but these values (R4).
struct TemplateContext {
    /// Flat dotted names: "container.name" -> "c1", "path", "trigger", "properties.os".
    std::map<std::string, std::string> values;
    /// Config of the instance for config_get(key, default).
    std::map<std::string, std::string> config;
    /// Names of moments, for the filter date:"2006-01-02".
    std::map<std::string, std::chrono::system_clock::time_point> times = {};
};

/// The part of pongo2 that image templates use: {{ value|filter:arg }}, {% if %}/{% elif %}/{% else %}/{% endif %},
/// {# comments #}, the filter date. No file, include or function beyond config_get.
/// Reentrant. Output is at most 1 MiB and the work is bounded.
/// @throws Error InvalidArgument for an unknown tag, a wrong form, or a bound that was exceeded
std::string render_template(std::string_view source, const TemplateContext& context);

} // namespace lxdcore
