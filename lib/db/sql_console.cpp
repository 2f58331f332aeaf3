// SPDX-License-Identifier: Apache-2.0
#include "db/sql_console.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <lxdcore/error.hpp>

#include "util/text.hpp"

namespace lxdcore::db {

namespace {

/// Where the quoted text, the name or the comment that begins at @p from ends; from + 1 for anything else.
std::size_t skip_token(std::string_view sql, std::size_t from) {
    const auto end_of = [&](std::string_view mark, std::size_t at) {
        const auto end = sql.find(mark, at);
        return end == std::string_view::npos ? sql.size() : end + mark.size();
    };
    switch (sql[from]) {
    case '\'':
    case '"':
    case '`':
        return end_of(sql.substr(from, 1), from + 1); // a doubled quote is two tokens, which comes to the same
    case '[':
        return end_of("]", from + 1);
    default:
        break;
    }
    if (sql.substr(from, 2) == "--") return end_of("\n", from);
    if (sql.substr(from, 2) == "/*") return end_of("*/", from + 2);
    return from + 1;
}

std::vector<std::string> split_statements(std::string_view sql) {
    std::vector<std::string> statements;
    std::size_t begin = 0;
    const auto take = [&](std::size_t end) {
        auto statement = text::trim(sql.substr(begin, end - begin));
        if (!statement.empty()) statements.push_back(std::move(statement));
        begin = end + 1;
    };
    for (std::size_t at = 0; at < sql.size();) {
        if (sql[at] == ';') take(at);
        at = skip_token(sql, at);
    }
    if (begin < sql.size()) take(sql.size());
    return statements;
}

bool gives_rows(const std::string& statement) {
    const auto word = text::lower(statement.substr(0, statement.find_first_of(" \t\r\n(")));
    return word == "select" || word == "pragma" || word == "explain" || word == "values" || word == "with";
}

/// "2023-11-14 22:13:20.5+00:00" of a DATETIME column as "2023-11-14T22:13:20.5Z", like LXD's driver.
std::string as_time(std::string value) {
    if (value.size() < 19 || value[10] != ' ') return value;
    value[10] = 'T';
    if (value.ends_with("+00:00")) value.resize(value.size() - 6);
    if (const auto dot = value.find('.'); dot != std::string::npos) {
        value.resize(std::max(value.find_last_not_of('0'), dot - 1) + 1);
        if (value.back() == '.') value.pop_back();
    }
    return value.back() == 'Z' ? value : value + "Z";
}

nlohmann::json cell(const Rows& rows, int column) {
    return std::visit(
        [&](const auto& value) -> nlohmann::json {
            if constexpr (std::is_same_v<std::decay_t<decltype(value)>, std::string>) {
                return rows.column_type(column) == "DATETIME" ? as_time(value) : value;
            } else {
                return value;
            }
        },
        rows.value(column));
}

nlohmann::json select(Transaction& tx, const std::string& statement) {
    auto rows = tx.query(statement);
    nlohmann::json columns = nlohmann::json::array();
    for (int i = 0; i < rows.columns(); ++i)
        columns.push_back(rows.column_name(i));
    nlohmann::json table;
    while (rows.next()) {
        nlohmann::json row = nlohmann::json::array();
        for (int i = 0; i < rows.columns(); ++i)
            row.push_back(cell(rows, i));
        table.push_back(std::move(row));
    }
    return {{"type", "select"}, {"columns", std::move(columns)}, {"rows", std::move(table)}, {"rows_affected", 0}};
}

nlohmann::json run_one(Transaction& tx, const std::string& statement) {
    const bool reading = gives_rows(statement);
    try {
        if (reading) return select(tx, statement);
        const auto affected = tx.exec(statement);
        return {{"type", "exec"}, {"columns", nullptr}, {"rows", nullptr}, {"rows_affected", affected}};
    } catch (Error& error) {
        error.add_context(reading ? "Failed to execute query" : "Failed to exec query");
        throw;
    }
}

std::string literal(const Value& value) {
    if (const auto* number = std::get_if<std::int64_t>(&value)) return std::to_string(*number);
    if (const auto* real = std::get_if<double>(&value)) return fmt::format("{}", *real);
    if (std::holds_alternative<std::nullptr_t>(value)) return "NULL";
    std::string quoted = "'";
    for (const char c : std::get<std::string>(value))
        quoted.append(c == '\'' ? 2 : 1, c);
    return quoted + "'";
}

void dump_rows(Transaction& tx, const std::string& table, std::string& out) {
    auto rows = tx.query(fmt::format("SELECT * FROM \"{}\"", table));
    while (rows.next()) {
        std::vector<std::string> values;
        for (int i = 0; i < rows.columns(); ++i)
            values.push_back(literal(rows.value(i)));
        out += fmt::format("INSERT INTO {} VALUES({});\n", table, text::join(values, ","));
    }
}

std::string dump(Transaction& tx, bool with_rows) {
    std::string out = "PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\n";
    auto objects = tx.query("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL "
                            "AND name <> 'sqlite_sequence' ORDER BY type <> 'table', rowid");
    while (objects.next()) {
        out += objects.text(2) + ";\n";
        if (with_rows && objects.text(0) == "table") dump_rows(tx, objects.text(1), out);
    }
    return out + "COMMIT;\n";
}

std::string tables(Transaction& tx) {
    std::string out;
    auto rows =
        tx.query("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name");
    while (rows.next())
        out += rows.text(0) + "\n";
    return out;
}

} // namespace

nlohmann::json run_console(Database& database, const std::string& query) {
    const auto text = text::trim(query);
    if (text.empty()) throw Error{ErrorCode::InvalidArgument, "No query provided"};
    if (text == ".schema" || text == ".dump" || text == ".tables") {
        return {{"text", database.read_value([&](Transaction& tx) {
                     return text == ".tables" ? tables(tx) : dump(tx, text == ".dump");
                 })}};
    }
    const auto statements = split_statements(text);
    const auto all = [&](Transaction& tx) {
        nlohmann::json results = nlohmann::json::array();
        for (const auto& statement : statements)
            results.push_back(run_one(tx, statement));
        return results;
    };
    const bool only_selects = std::all_of(statements.begin(), statements.end(), [](const std::string& statement) {
        return text::lower(statement.substr(0, 6)) == "select";
    });
    return {{"Results", only_selects ? database.read_value(all) : database.write_value(all)}};
}

} // namespace lxdcore::db
