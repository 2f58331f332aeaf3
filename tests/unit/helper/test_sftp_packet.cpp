// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <random>

#include "helper/sftp_packet.hpp"

using namespace lxdcore::helper::sftp;
using namespace std::string_literals;
using namespace std::string_view_literals;

namespace {

std::string u32(std::uint32_t value) {
    return {static_cast<char>(value >> 24), static_cast<char>(value >> 16), static_cast<char>(value >> 8),
            static_cast<char>(value)};
}
std::string u64(std::uint64_t value) {
    return u32(static_cast<std::uint32_t>(value >> 32)) + u32(static_cast<std::uint32_t>(value));
}
std::string text(std::string_view value) { return u32(static_cast<std::uint32_t>(value.size())).append(value); }
std::string packet(Type type, const std::string& body, std::uint32_t id = 7) {
    return static_cast<char>(type) + u32(id) + body;
}

/// One whole request of each kind.
std::vector<std::string> all_requests() {
    const auto full =
        u32(0x8000000f) + u64(5) + u32(1) + u32(2) + u32(0644) + u32(3) + u32(4) + u32(1) + text("a") + text("b");
    return {packet(Type::Init, "", 3),
            packet(Type::Open, text("/f") + u32(3) + full),
            packet(Type::Close, text("1")),
            packet(Type::Read, text("1") + u64(9) + u32(10)),
            packet(Type::Write, text("1") + u64(9) + text("data")),
            packet(Type::Lstat, text("/f")),
            packet(Type::Fstat, text("1")),
            packet(Type::Setstat, text("/f") + full),
            packet(Type::Fsetstat, text("1") + full),
            packet(Type::Opendir, text("/d")),
            packet(Type::Readdir, text("1")),
            packet(Type::Remove, text("/f")),
            packet(Type::Mkdir, text("/d") + u32(0)),
            packet(Type::Rmdir, text("/d")),
            packet(Type::Realpath, text(".")),
            packet(Type::Stat, text("/f")),
            packet(Type::Rename, text("/a") + text("/b")),
            packet(Type::Readlink, text("/l")),
            packet(Type::Symlink, text("target") + text("/l")),
            packet(Type::Extended, text("posix-rename@openssh.com") + text("/a") + text("/b")),
            packet(Type::Extended, text("statvfs@openssh.com") + text("/"))};
}

} // namespace

TEST_CASE("a packet is there when its length says so") {
    CHECK_FALSE(packet_length(""));
    CHECK_FALSE(packet_length("\0\0\0"sv));
    CHECK(packet_length("\0\0\0\1"sv) == 1u);
    CHECK(packet_length(u32(kLargestPacket)) == kLargestPacket);
    CHECK_THROWS_AS(packet_length(u32(0)), Malformed);
    CHECK_THROWS_AS(packet_length(u32(kLargestPacket + 1)), Malformed);
    CHECK_THROWS_AS(packet_length(u32(0xffffffff)), Malformed);
}

TEST_CASE("requests are read field by field") {
    const auto open_bytes = all_requests()[1];
    const auto open = parse_request(open_bytes);
    CHECK(open.type == Type::Open);
    CHECK(open.id == 7);
    CHECK(open.path == "/f");
    CHECK(open.flags == (kOpenRead | kOpenWrite));
    CHECK(open.attributes.size == 5u);
    CHECK(open.attributes.owner->second == 2);
    CHECK(open.attributes.mode == 0644u);
    CHECK(open.attributes.times->second == 4);
    const auto write_bytes = packet(Type::Write, text("12") + u64(1ull << 40) + text("a\0b"sv));
    const auto write = parse_request(write_bytes);
    CHECK(write.handle == "12");
    CHECK(write.offset == 1ull << 40);
    CHECK(write.data == "a\0b"sv);
    const auto link_bytes = packet(Type::Extended, text("hardlink@openssh.com") + text("/a") + text("/b"));
    const auto link = parse_request(link_bytes);
    CHECK(link.extension == "hardlink@openssh.com");
    CHECK(link.path == "/a");
    CHECK(link.second == "/b");
    const auto odd_bytes = packet(static_cast<Type>(77), "whatever");
    CHECK(parse_request(odd_bytes).id == 7);
}

TEST_CASE("a request that ends early is malformed, wherever it ends") {
    for (const auto& whole : all_requests()) {
        CHECK_NOTHROW(parse_request(whole));
        CHECK_NOTHROW(parse_request(whole + "more"));
        for (std::size_t size = 0; size < whole.size(); ++size) {
            const std::string cut = whole.substr(0, size); // its own memory, so that a step too far is seen
            CHECK_THROWS_AS(parse_request(cut), Malformed);
        }
    }
}

TEST_CASE("no bytes lead the parser astray") {
    std::mt19937 random{20}; // the same each time
    const auto known = all_requests();
    for (int round = 0; round < 200'000; ++round) {
        auto bytes = known[random() % known.size()];
        for (auto changes = random() % 4 + 1; changes > 0; --changes)
            bytes[random() % bytes.size()] = static_cast<char>(random());
        try {
            const auto request = parse_request(bytes);
            for (const auto& part : {request.path, request.second, request.handle, request.data, request.extension}) {
                if (part.empty()) continue;
                CHECK(part.data() >= bytes.data());
                CHECK(part.data() + part.size() <= bytes.data() + bytes.size());
            }
        } catch (const Malformed&) { // as good
        }
    }
}

TEST_CASE("replies have the bytes of the draft") {
    Writer out;
    out.status(9, Status::NoSuchFile, "no");
    CHECK(out.bytes() == u32(19) + "\x65" + u32(9) + u32(2) + text("no") + text(""));
    out.bytes().clear();
    out.attributes(1, {.size = 6, .owner = std::pair{1u, 2u}, .mode = 0100644, .times = std::pair{3u, 4u}});
    CHECK(out.bytes() ==
          u32(37) + "\x69" + u32(1) + u32(15) + u64(6) + u32(1) + u32(2) + u32(0100644) + u32(3) + u32(4));
    out.bytes().clear();
    out.reserve_data(2, 100)[0] = 'x';
    out.commit_data(1);
    CHECK(out.bytes() == u32(10) + "\x67" + u32(2) + text("x"));
    out.reserve_data(3, 100);
    out.drop();
    CHECK(out.bytes().size() == 14);
}
