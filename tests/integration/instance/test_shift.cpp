// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <map>

#include <fmt/format.h>

#include "integration/instance/world.hpp"
#include "system/shift.hpp"
#include "util/dir.hpp"

using namespace lxdcore;
using test::TempDir;
using test::World;

namespace {

IdMap part(std::int64_t host, std::int64_t count) {
    return {.ranges = {{.uid = true, .gid = false, .host = host, .ns = 0, .count = count},
                       {.uid = false, .gid = true, .host = host, .ns = 0, .count = count}}};
}

struct AclText {
    static std::string of(uid_t user) {
        const std::uint32_t header = 2;
        struct Entry {
            std::uint16_t tag, permissions;
            std::uint32_t id;
        };
        const Entry entries[] = {{0x01, 6, ~0U}, {0x02, 4, user}, {0x04, 4, ~0U}, {0x10, 4, ~0U}, {0x20, 4, ~0U}};
        std::string out(reinterpret_cast<const char*>(&header), sizeof header);
        return out.append(reinterpret_cast<const char*>(entries), sizeof entries);
    }
};

std::string capability() {
    vfs_ns_cap_data data{};
    data.magic_etc = VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE;
    data.data[0].permitted = 1U << CAP_NET_RAW;
    return {reinterpret_cast<const char*>(&data), XATTR_CAPS_SZ_2};
}

/// Files of every kind, with owners that other maps use as host ids.
class Tree {
public:
    explicit Tree(int files) {
        for (int i = 0; i < files; ++i) {
            const auto name = "f" + std::to_string(i);
            file(name, static_cast<uid_t>(i % 7 * 500), i % 3 == 0 ? 04755 : i % 3 == 1 ? 02755 : 0644);
            const auto path = (dir_ / name).string();
            if (i % 4 == 0) set(path, "security.capability", capability());
            if (i % 5 == 0) set(path, "system.posix_acl_access", AclText::of(1000));
        }
        file("nested", 100000, 04711);
        file("high", 165536, 0600);
        std::filesystem::create_hard_link(dir_ / "f1", dir_ / "again");
        std::filesystem::create_symlink("/etc/passwd", dir_ / "link");
        REQUIRE(::lchown((dir_ / "link").c_str(), 33, 33) == 0);
        std::filesystem::create_directories(dir_ / "d/e");
        REQUIRE(::chown((dir_ / "d").c_str(), 1000, 1000) == 0);
        REQUIRE(::chmod((dir_ / "d").c_str(), 02775) == 0);
        set((dir_ / "d").string(), "system.posix_acl_default", AclText::of(500));
    }
    Dir dir() const { return Dir::open(dir_.path().string()); }

    /// Owner, mode, attributes of all, by name.
    std::map<std::string, std::string> look() const {
        std::map<std::string, std::string> out;
        for (const auto& entry : std::filesystem::recursive_directory_iterator{dir_.path()})
            out[entry.path().lexically_relative(dir_.path()).string()] = describe(entry.path().string());
        return out;
    }

private:
    void file(const std::string& name, uid_t owner, mode_t mode) {
        const auto path = (dir_ / name).string();
        REQUIRE(::close(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600)) == 0);
        REQUIRE(::chown(path.c_str(), owner, owner) == 0);
        REQUIRE(::chmod(path.c_str(), mode) == 0);
    }
    static void set(const std::string& path, const char* name, const std::string& value) {
        REQUIRE(::setxattr(path.c_str(), name, value.data(), value.size(), 0) == 0);
    }
    static std::string describe(const std::string& path) {
        struct stat info {};
        REQUIRE(::lstat(path.c_str(), &info) == 0);
        auto out = fmt::format("{}:{} {:o}", info.st_uid, info.st_gid, info.st_mode);
        for (const char* name :
             {"security.capability", "system.posix_acl_access", "system.posix_acl_default", "trusted.lxdcore.shift"}) {
            char buffer[256];
            const auto size = ::lgetxattr(path.c_str(), name, buffer, sizeof buffer);
            for (ssize_t i = 0; i < size; ++i)
                out += fmt::format("{}{:02x}", i == 0 ? " " : "", static_cast<unsigned char>(buffer[i]));
        }
        return out;
    }

    TempDir dir_;
};

void walk(const Dir& dir, IdMap from, const IdMap& to) {
    for (const auto& next : shift_route(from, to)) {
        shift_tree(dir, from, next);
        from = next;
    }
}

/// As walk(), in processes that are killed after a while, a bit later each time, until one comes to the end.
int walk_killed(const Dir& dir, IdMap from, const IdMap& to) {
    int kills = 0;
    for (const auto& next : shift_route(from, to)) {
        for (useconds_t patience = 200;; patience += 150 + patience / 10) {
            const auto child = ::fork();
            if (child == 0) {
                shift_tree(dir, from, next);
                ::_exit(0);
            }
            ::usleep(patience);
            ::kill(child, SIGKILL);
            int status = 0;
            REQUIRE(::waitpid(child, &status, 0) == child);
            if (WIFEXITED(status)) break;
            ++kills;
        }
        from = next;
    }
    return kills;
}

const IdMap kServer = part(100000, 1000000), kPart = part(165536, 65536), kNear = part(165536 + 500, 65536),
            kApart = part(500000, 65536);

} // namespace

TEST_CASE("a tree has the ids of its map, and going back restores it to the last bit (R38)") {
    const Tree tree{40};
    const auto before = tree.look();
    for (const auto& map : {kServer, kPart, kApart}) {
        walk(tree.dir(), {}, map);
        const auto root = map.host_uid(0).value();
        CHECK(tree.look().at("f1").starts_with(fmt::format("{0}:{0} 102755", root + 500)));
        CHECK(tree.look().at("link").starts_with(fmt::format("{0}:{0} ", root + 33)));
        CHECK(tree.look().at("d").starts_with(fmt::format("{0}:{0} 42775 ", root + 1000)));
        CHECK(tree.look().at("f12").starts_with(fmt::format("{0}:{0} 104755 0100000300200000", root + 2500)));
        walk(tree.dir(), map, {});
        CHECK(tree.look() == before);
    }
    CHECK(std::filesystem::exists("/etc/passwd"));
    struct stat info {};
    REQUIRE(::stat("/etc/passwd", &info) == 0);
    CHECK(info.st_uid == 0);
}

TEST_CASE("maps that share ids are told apart") {
    const Tree tree{40}, plain{40};
    walk(tree.dir(), {}, kPart);
    walk(tree.dir(), kPart, kNear);
    walk(tree.dir(), kNear, kServer);
    walk(plain.dir(), {}, kServer);
    CHECK(tree.look() == plain.look());
    CHECK(shift_route(kPart, kApart).size() == 1);
    CHECK(shift_route(kPart, kNear).size() == 2);
    CHECK(shift_route(kPart, kPart).empty());
}

TEST_CASE("a tree of which a walk was killed again and again ends as one that was not") {
    const Tree tree{600}, plain{600};
    int kills = walk_killed(tree.dir(), {}, kServer);
    walk(plain.dir(), {}, kServer);
    CHECK(tree.look() == plain.look());
    kills += walk_killed(tree.dir(), kServer, kPart);
    walk(plain.dir(), kServer, kPart);
    CHECK(tree.look() == plain.look());
    kills += walk_killed(tree.dir(), kPart, kNear);
    kills += walk_killed(tree.dir(), kNear, {});
    walk(plain.dir(), kPart, {});
    CHECK(tree.look() == plain.look());
    CHECK(kills > 10);
}

TEST_CASE("without free ids nothing is touched") {
    const IdMap all = part(0x30000000, 0xc0000000);
    CHECK_THROWS_AS(shift_route({}, all), Error);
}
