// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <doctest/doctest.h>

#include <map>
#include <regex>
#include <string>
#include <vector>

#include <lxdcore/error.hpp>

#include "storage/drivers/mounted/mounted_driver.hpp"
#include "support/fake_host.hpp"
#include "support/fake_tools.hpp"
#include "support/temp_dir.hpp"

/// A sequence is shown with one call in each line.
template <>
struct doctest::StringMaker<std::vector<std::string>> {
    static String convert(const std::vector<std::string>& calls) {
        std::string text;
        for (const auto& call : calls)
            text += "\n    " + call;
        return {text.c_str(), static_cast<unsigned>(text.size())};
    }
};

namespace lxdcore::test {

using Calls = std::vector<std::string>;

/// Random parts of names as #1, #2, … in the order of their appearance; the state directory as $.
inline Calls normal(const Calls& calls, const std::string& state_dir) {
    static const std::regex random{"[0-9a-f]{24}|[0-9a-f]{8}-[0-9a-f-]{27}"};
    std::map<std::string, std::string> seen;
    Calls result;
    for (auto line : calls) {
        for (auto at = line.find(state_dir); at != std::string::npos; at = line.find(state_dir))
            line.replace(at, state_dir.size(), "$");
        std::smatch match;
        while (std::regex_search(line, match, random)) {
            auto& name = seen[match.str()];
            if (name.empty()) name = "#" + std::to_string(seen.size());
            line.replace(static_cast<std::size_t>(match.position()), static_cast<std::size_t>(match.length()), name);
        }
        result.push_back(line);
    }
    return result;
}

/// A driver on fake programs and a fake kernel.
template <typename Driver>
struct DriverFixture {
    TempDir temp;
    Dir state = Dir::open(temp.path().string());
    Logger log;
    std::shared_ptr<FakeTools> tools = std::make_shared<FakeTools>(log);
    std::shared_ptr<FakeHost> host = std::make_shared<FakeHost>(tools);
    std::unique_ptr<Driver> driver;

    void make(api::StringMap config) {
        driver = std::make_unique<Driver>(storage::PoolContext{"p", std::move(config), state, log},
                                          storage::Backend{tools, host});
    }
    /// With its directories, and nothing in the sequence.
    void make_mounted(api::StringMap config) {
        make(std::move(config));
        driver->mount_pool();
        tools->take();
    }
    Calls calls() { return normal(tools->take(), temp.path().string()); }
    /// The calls up to the failure of the one that begins with @p prefix, and those of the undoing.
    template <typename Action>
    Calls calls_failing(const std::string& prefix, Action action) {
        tools->fail(prefix);
        CHECK_THROWS_AS(action(), Error);
        tools->forget(prefix);
        return calls();
    }
    template <typename Action>
    static std::string failure(Action action) {
        try {
            action();
        } catch (const Error& error) {
            return error.what();
        }
        return "none";
    }
};

} // namespace lxdcore::test
