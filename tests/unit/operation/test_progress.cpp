// SPDX-License-Identifier: Apache-2.0
#include "operation/progress.hpp"

#include <doctest/doctest.h>

#include <thread>

#include <nlohmann/json.hpp>

using namespace lxdcore;

namespace {

class Heard final : public OperationContext {
public:
    std::stop_token stop_token() const override { return {}; }
    void update_metadata(const nlohmann::json& object) override { said.push_back(object); }
    void set_progress(const std::string&, const std::string&) override {}
    void refuse_cancel_from_here() override {}
    void throw_if_cancelled() const override {}
    std::vector<nlohmann::json> said;
};

} // namespace

TEST_CASE("progress is said in LXD's form, and at its end in full") {
    Heard op;
    Progress progress{op, "create_instance_from_image_unpack", "Unpack", 1'000'000};
    progress.at(1); // too early to say anything
    CHECK(op.said.empty());
    progress.finish();
    REQUIRE(op.said.size() == 1);
    const auto text = op.said[0].at("create_instance_from_image_unpack_progress").get<std::string>();
    CHECK(text.starts_with("Unpack: 100% ("));
    CHECK(text.ends_with("B/s)"));
    CHECK(op.said[0].at("progress").at("percent") == "100");
    CHECK(op.said[0].at("progress").at("stage") == "create_instance_from_image_unpack");
}

TEST_CASE("progress is said now and then, and only when it grows") {
    Heard op;
    Progress progress{op, "stage", "Words", 100};
    std::this_thread::sleep_for(std::chrono::milliseconds{600});
    progress.at(50);
    progress.at(70);
    REQUIRE(op.said.size() == 1);
    CHECK(op.said[0].at("stage_progress").get<std::string>().starts_with("Words: 50% ("));
    std::this_thread::sleep_for(std::chrono::milliseconds{600});
    progress.at(50);
    CHECK(op.said.size() == 1);
}

TEST_CASE("without a total, bytes are shown") {
    Heard op;
    Progress progress{op, "stage", "Words", 0};
    progress.at(2'650'000);
    progress.finish();
    REQUIRE(op.said.size() == 1);
    CHECK(op.said[0].at("stage_progress").get<std::string>().starts_with("Words: 2.65MB ("));
    CHECK(op.said[0].at("progress").at("processed") == "2650000");
    CHECK(progress_size(500) == "500B");
    CHECK(progress_size(12'345'678'901.0) == "12.35GB");
}
