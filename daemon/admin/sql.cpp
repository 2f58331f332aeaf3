// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <iostream>
#include <iterator>

#include <fmt/format.h>

#include <lxdcore/error.hpp>

#include "admin/commands.hpp"

namespace lxdcore::daemon {

namespace {

std::string cell_text(const nlohmann::json& cell) {
    if (cell.is_null()) return "<nil>";
    if (cell.is_string()) return cell.get<std::string>();
    return cell.dump();
}

/// Columns that a text takes on a terminal, near enough: its code points.
std::size_t width_of(const std::string& text) {
    return static_cast<std::size_t>(
        std::count_if(text.begin(), text.end(), [](unsigned char c) { return (c & 0xc0) != 0x80; }));
}

std::string padding(std::size_t count) { return std::string(count, ' '); }

} // namespace

std::string format_table(const nlohmann::json& result) {
    const auto columns = result.value("columns", std::vector<std::string>{});
    std::vector<std::vector<std::string>> rows;
    std::vector<std::size_t> widths;
    for (const auto& column : columns)
        widths.push_back(width_of(column));
    if (result.contains("rows") && result["rows"].is_array()) {
        for (const auto& row : result["rows"]) {
            auto& cells = rows.emplace_back();
            for (const auto& cell : row)
                cells.push_back(cell_text(cell));
            cells.resize(columns.size());
            for (std::size_t i = 0; i < cells.size(); ++i)
                widths[i] = std::max(widths[i], width_of(cells[i]));
        }
    }
    std::string line = "+";
    for (const auto width : widths)
        line += std::string(width + 2, '-') + "+";
    std::string out = line + "\n|";
    for (std::size_t i = 0; i < columns.size(); ++i) {
        const auto gap = widths[i] - width_of(columns[i]);
        out += " " + padding(gap / 2) + columns[i] + padding(gap - gap / 2) + " |";
    }
    out += "\n" + line + "\n";
    for (const auto& row : rows) {
        out += "|";
        for (std::size_t i = 0; i < row.size(); ++i)
            out += " " + row[i] + padding(widths[i] - width_of(row[i])) + " |";
        out += "\n";
    }
    return out + line + "\n";
}

void sql(const ApiClient& client, const std::string& database, const std::string& query) {
    if (database != "local" && database != "global") throw Error{ErrorCode::InvalidArgument, "Invalid database type"};
    if (query == ".dump" || query == ".schema") {
        const auto reply = client.request(
            "GET", fmt::format("/internal/sql?database={}&schema={}", database, query == ".schema" ? 1 : 0));
        std::cout << reply.value("text", "");
        return;
    }
    std::string text = query;
    if (query == "-") text.assign(std::istreambuf_iterator<char>{std::cin}, {});
    const auto reply = client.request("POST", "/internal/sql", {{"database", database}, {"query", text}});
    const auto results = reply.value("Results", nlohmann::json::array());
    for (std::size_t i = 0; i < results.size(); ++i) {
        if (results.size() > 1) std::cout << "=> Query " << i << ":\n\n";
        if (results[i].value("type", "") == "select")
            std::cout << format_table(results[i]);
        else
            std::cout << "Rows affected: " << results[i].value("rows_affected", 0) << "\n";
        if (results.size() > 1) std::cout << "\n";
    }
}

} // namespace lxdcore::daemon
