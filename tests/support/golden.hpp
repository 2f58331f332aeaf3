// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <doctest/doctest.h>

#include <cstdlib>
#include <string>

#include <nlohmann/json.hpp>

#include "support/temp_dir.hpp"
#include "test_data_path.hpp"

namespace lxdcore::test {

/// A reviewed file below tests/data that an output must equal. LXDCORE_TEST_ACCEPT=1 writes what came instead; look at
/// the difference before you commit it.
class Golden {
public:
    static Golden open(const std::string& name) { return Golden{std::filesystem::path{LXDCORE_TEST_DATA} / name}; }

    std::string text() const { return read_file(path_); }
    nlohmann::json json() const { return nlohmann::json::parse(text()); }
    void check(const std::string& actual) const {
        if (accepting()) return write_file(path_, actual);
        INFO(path_.string());
        REQUIRE(std::filesystem::exists(path_));
        CHECK(actual == text());
    }
    void check(const nlohmann::json& actual) const { check(actual.dump(2) + "\n"); }

private:
    explicit Golden(std::filesystem::path path) : path_{std::move(path)} {}
    static bool accepting() {
        const char* value = std::getenv("LXDCORE_TEST_ACCEPT");
        return value && std::string{value} == "1";
    }
    std::filesystem::path path_;
};

} // namespace lxdcore::test
