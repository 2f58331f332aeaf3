// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "fixture.hpp"
#include "http/multipart.hpp"

using namespace lxdcore;
using namespace lxdcore::test;
using daemon::MultipartParser;

namespace {

struct Collected {
    std::vector<std::pair<std::string, std::string>> parts;
    bool failed = false;
};

/// Parses @p text in pieces of @p step bytes.
Collected parse(const std::string& text, std::size_t step, const std::string& boundary = "B") {
    Collected result;
    MultipartParser parser{boundary, [&](const auto& part) { result.parts.emplace_back(part.name, ""); },
                           [&](const char* data, std::size_t size) { result.parts.back().second.append(data, size); }};
    try {
        for (std::size_t i = 0; i < text.size(); i += step)
            parser.feed(text.data() + i, std::min(step, text.size() - i));
        parser.finish();
    } catch (const Error& error) {
        CHECK(std::string{error.what()} == "Invalid multipart image");
        result.failed = true;
    }
    return result;
}

std::string part(const std::string& name, const std::string& content) {
    return "--B\r\nContent-Disposition: form-data; name=\"" + name + "\"; filename=\"f;\\\"x\"\r\n\r\n" + content +
           "\r\n";
}

std::string operation_error(TestDaemon& daemon, const Reply& reply) {
    REQUIRE(reply.status == 202);
    const auto operation = daemon.operations->find(reply.json()["metadata"]["id"]);
    REQUIRE(operation->wait(std::chrono::seconds{10}));
    return operation->error();
}

const std::string kMultipart = "Content-Type: multipart/form-data; boundary=B\r\n";

} // namespace

TEST_CASE("a multipart body is split the same however it arrives") {
    const std::string content = "one\r\n--Bogus\r\n\r\n-- two\r\n";
    const auto text = part("metadata", content) + part("rootfs", std::string(1000, 'r')) + "--B--\r\n";
    for (const std::size_t step : {std::size_t{1}, std::size_t{2}, std::size_t{7}, std::size_t{64}, text.size()}) {
        // "\r\n--B" inside is a boundary by the rules: what follows must be a line end or "--"
        const auto result = parse(part("metadata", "x") + part("rootfs", std::string(1000, 'r')) + "--B--\r\n", step);
        CHECK_FALSE(result.failed);
        REQUIRE(result.parts.size() == 2);
        CHECK(result.parts[0] == std::pair<std::string, std::string>{"metadata", "x"});
        CHECK(result.parts[1].second == std::string(1000, 'r'));
    }
    CHECK(parse(text, 5).failed);
}

TEST_CASE("truncated and oversized multipart bodies are refused") {
    const auto good = part("metadata", "x") + part("rootfs", "y") + "--B--\r\n";
    for (const auto cut : {good.size() - 4, good.size() / 2, std::size_t{3}, std::size_t{0}})
        CHECK(parse(good.substr(0, cut), 3).failed);
    CHECK(parse("--B\r\nX: " + std::string(20'000, 'h') + "\r\n\r\n", 512).failed);
    CHECK(parse("--B\r\nno colon\r\n\r\nx\r\n--B--\r\n", 512).failed);
    CHECK(parse(std::string(40'000, 'p'), 512).failed);
    CHECK_FALSE(parse("--B--", 512).failed);
}

TEST_CASE("the boundary comes from the content type") {
    CHECK(MultipartParser::boundary_of("multipart/form-data; boundary=abc") == "abc");
    CHECK(MultipartParser::boundary_of("multipart/form-data; x=y; boundary=\"a b\"") == "a b");
    CHECK(MultipartParser::boundary_of("application/octet-stream") == "");
    CHECK(MultipartParser::boundary_of("multipart/form-data; boundary=" + std::string(100, 'x')) == "");
}

TEST_CASE("an image is streamed into the store, whole or in two parts") {
    TestDaemon daemon;
    const std::string image(700'000, 'i');
    const auto raw = ask(daemon.socket(), "POST", "/1.0/images", image,
                         "X-LXD-filename: a.tar.gz\r\nX-LXD-public: 1\r\nX-LXD-properties: os=Busy+Box&v=%31\r\n");
    CHECK(operation_error(daemon, raw) == "");
    CHECK(daemon.images.metadata == image);
    CHECK(daemon.images.upload_seen.filename == "a.tar.gz");
    CHECK(daemon.images.upload_seen.is_public);
    CHECK(daemon.images.upload_seen.properties == api::StringMap{{"os", "Busy Box"}, {"v", "1"}});
    const auto split = part("metadata", "meta") + part("rootfs", image) + "--B--\r\n";
    CHECK(operation_error(daemon, ask(daemon.socket(), "POST", "/1.0/images", split, kMultipart)) == "");
    CHECK(daemon.images.metadata == "meta");
    CHECK(daemon.images.rootfs == image);
}

TEST_CASE("a wrong or broken upload leaves nothing behind") {
    TestDaemon daemon;
    for (const auto& text :
         {part("rootfs", "x") + part("metadata", "y") + "--B--\r\n", part("metadata", "x") + "--B--\r\n",
          part("metadata", "x") + part("rootfs", "y"), part("metadata", "x") + part("evil", "y"),
          part("metadata", "x") + part("rootfs", "y") + part("rootfs", "z") + "--B--\r\n"}) {
        const auto before = daemon.images.abandoned;
        CHECK(operation_error(daemon, ask(daemon.socket(), "POST", "/1.0/images", text, kMultipart)) ==
              "Invalid multipart image");
        CHECK(daemon.images.abandoned == before + 1);
    }
    CHECK(daemon.images.finished == 0);
    CHECK(ask(daemon.socket(), "POST", "/1.0/images", "{\"source\":{\"type\":\"foo\"}}").error() ==
          "Invalid images JSON");
}
