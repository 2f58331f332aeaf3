// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <map>

#include "storage/btrfs_pool.hpp"

using namespace lxdcore;
using namespace lxdcore::storage;
using namespace lxdcore::test;

namespace {

/// A stream as `btrfs send` writes it, of commands that it never would.
class HostileStream {
public:
    enum Command : std::uint16_t {
        Subvol = 1,
        Mkfile = 3,
        Mkdir = 4,
        Symlink = 8,
        Rename = 9,
        Link = 10,
        Unlink = 11,
        Write = 15,
        Truncate = 17,
        Chmod = 18,
        Chown = 19,
        End = 21
    };
    enum Attribute : std::uint16_t {
        Uuid = 1,
        Ctransid = 2,
        Ino = 3,
        Size = 4,
        Mode = 5,
        Uid = 6,
        Gid = 7,
        Path = 15,
        PathTo = 16,
        PathLink = 17,
        Offset = 18,
        Data = 19
    };
    using Fields = std::vector<std::pair<Attribute, std::string>>;

    HostileStream() { bytes_ = std::string{"btrfs-stream", 13} + number<std::uint32_t>(1); }
    HostileStream& add(Command command, const Fields& fields) {
        std::string body;
        for (const auto& [attribute, value] : fields)
            body += number<std::uint16_t>(attribute) + number(static_cast<std::uint16_t>(value.size())) + value;
        const auto head = number(static_cast<std::uint32_t>(body.size())) + number<std::uint16_t>(command);
        const auto sum = crc32c(head + number<std::uint32_t>(0) + body);
        bytes_ += head + number(sum) + body;
        return *this;
    }
    HostileStream& subvolume(const std::string& path) {
        return add(Subvol, {{Path, path}, {Uuid, std::string(16, 'u')}, {Ctransid, number<std::uint64_t>(7)}});
    }
    HostileStream& file(const std::string& path, const std::string& text) {
        add(Mkfile, {{Path, path}, {Ino, number<std::uint64_t>(300)}});
        return write(path, text);
    }
    HostileStream& write(const std::string& path, const std::string& text) {
        return add(Write, {{Path, path}, {Offset, number<std::uint64_t>(0)}, {Data, text}});
    }
    HostileStream& symlink(const std::string& path, const std::string& target) {
        return add(Symlink, {{Path, path}, {Ino, number<std::uint64_t>(301)}, {PathLink, target}});
    }
    const std::string& bytes() const { return bytes_; }

    template <class T>
    static std::string number(T value) {
        std::string text;
        for (std::size_t i = 0; i < sizeof value; ++i)
            text += static_cast<char>(static_cast<std::uint64_t>(value) >> (8 * i) & 0xff);
        return text;
    }

private:
    static std::uint32_t crc32c(const std::string& data) {
        std::uint32_t crc = 0;
        for (const char c : data) {
            crc ^= static_cast<unsigned char>(c);
            for (int bit = 0; bit < 8; ++bit)
                crc = (crc & 1) != 0 ? crc >> 1 ^ 0x82f63b78u : crc >> 1;
        }
        return crc;
    }
    std::string bytes_;
};

/// Everything below a directory: kind, mode, owner and content.
std::map<std::string, std::string> picture(const fs::path& top) {
    std::map<std::string, std::string> all;
    for (const auto& entry : fs::recursive_directory_iterator(top)) {
        struct stat info {};
        if (::lstat(entry.path().c_str(), &info) != 0) continue;
        auto text = std::to_string(info.st_mode) + " " + std::to_string(info.st_uid);
        if (S_ISREG(info.st_mode) && info.st_size < 4096) text += " " + read_file(entry.path());
        all[entry.path().lexically_relative(top).string()] = text;
    }
    return all;
}

std::string receive_text(Pool& pool, const VolumeId& as, const std::string& bytes) {
    write_file(pool.temp / "stream", bytes);
    const UniqueFd in{::open((pool.temp / "stream").c_str(), O_RDONLY | O_CLOEXEC)};
    return error_of([&] {
        auto sink = pool.driver->send_receive()->sink(as);
        sink->receive({.path = "/"}, in.get(), {});
        pool.driver->publish(sink->finish());
    });
}

} // namespace

TEST_CASE("volumes and snapshots travel as streams, increments upon what arrived before") {
    Pool from, to;
    from.add(volume("c1"));
    write_file(from / "containers/c1/file", std::string(100000, 'a'));
    btrfs::create(Dir::open((from / "containers/c1").string()), "inner", 0755);
    write_file(from / "containers/c1/inner/file", "inner");
    from.clone(volume("c1", "s1"), volume("c1"));
    write_file(from / "containers/c1/more", "b");

    TempDir streams;
    const auto send = [&](SendReceiveOps::Source& source, const SendReceiveOps::Source* parent, const std::string& to) {
        std::uintmax_t size = 0;
        for (std::size_t i = 0; i < source.parts().size(); ++i) {
            const auto file = streams / (to + std::to_string(i));
            const UniqueFd out{::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)};
            source.send(source.parts()[i].path, parent, out.get(), {});
            size += fs::file_size(file);
        }
        return size;
    };
    const auto receive = [&](const SendReceiveOps::Source& source, const VolumeId& as, const std::string& name) {
        auto sink = to.driver->send_receive()->sink(as);
        for (std::size_t i = 0; i < source.parts().size(); ++i) {
            const UniqueFd in{::open((streams / (name + std::to_string(i))).c_str(), O_RDONLY | O_CLOEXEC)};
            sink->receive(source.parts()[i], in.get(), {});
        }
        to.driver->publish(sink->finish());
    };
    {
        const auto snapshot = from.driver->send_receive()->source(volume("c1", "s1"));
        const auto now = from.driver->send_receive()->source(volume("c1"));
        CHECK(snapshot->parts().size() == 2);
        CHECK(send(*snapshot, nullptr, "s") > 100000);
        CHECK(send(*now, snapshot.get(), "v") < 20000);
        receive(*snapshot, volume("c9", "s1"), "s");
        receive(*now, volume("c9"), "v");
        CHECK_THROWS_AS(now->send("/absent", nullptr, 1, {}), Error);
    }
    CHECK(read_file(to / "containers/c9/file") == std::string(100000, 'a'));
    CHECK(read_file(to / "containers/c9/more") == "b");
    CHECK(read_file(to / "containers/c9/inner/file") == "inner");
    CHECK(read_file(to / "containers-snapshots/c9/s1/inner/file") == "inner");
    CHECK(btrfs::read_only(Dir::open((to / "containers-snapshots/c9/s1").string())));
    write_file(to / "containers/c9/inner/file", "writable");
    CHECK(to.subvolumes().size() == 4);
    CHECK(from.subvolumes().size() == 4); // what was frozen for sending is gone
    {
        auto sink = to.driver->send_receive()->sink(volume("bad"));
        const UniqueFd in{::open((streams / "v0").c_str(), O_RDONLY | O_CLOEXEC)};
        to.driver->remove(volume("c9", "s1"));
        to.driver->remove(volume("c9"));
        CHECK_THROWS_AS(sink->receive({.path = "/"}, in.get(), {}), Error); // its parent is not there any more
    }
    CHECK(to.subvolumes().empty());
    CHECK(fs::is_empty(to / "containers"));
}

TEST_CASE("R1, R2, R42: a stream from outside changes nothing but the volume that it becomes") {
    using S = HostileStream;
    Pool pool;
    pool.add(volume("c1"));
    write_file(pool / "containers/c1/file", "precious");
    pool.clone(volume("c1", "s1"), volume("c1"));
    TempDir outside;
    const auto canary = (outside / "canary").string();
    write_file(canary, "precious");

    // Paths are seen from the subvolume, which is in a folder of its own beside the volumes.
    std::map<std::string, S> streams;
    const auto hostile = [&](const std::string& name) -> S& {
        return streams.emplace(name, S{}.subvolume("v").file("file", "mine")).first->second;
    };
    const auto n = [](std::uint64_t value) { return S::number(value); };
    hostile("up to a volume").write("../../c1/file", "hacked");
    hostile("up to the pool").write("../../../containers/c1/file", "hacked");
    hostile("an absolute path").write(canary, "hacked");
    hostile("a link to a file").symlink("link", canary).write("link", "hacked");
    hostile("a link to a directory").symlink("link", outside.path().string()).file("link/new", "hacked");
    hostile("a link to a volume").symlink("link", "../../c1").write("link/file", "hacked");
    hostile("a cut through a link").symlink("link", canary).add(S::Truncate, {{S::Path, "link"}, {S::Size, n(0)}});
    hostile("a mode through a link").symlink("link", canary).add(S::Chmod, {{S::Path, "link"}, {S::Mode, n(04777)}});
    hostile("a name elsewhere").add(S::Rename, {{S::Path, "file"}, {S::PathTo, "../../c1/evil"}});
    hostile("a second name for what is elsewhere").add(S::Link, {{S::Path, "mine"}, {S::PathLink, "../../c1/file"}});
    hostile("a removal").add(S::Unlink, {{S::Path, "../../c1/file"}});
    hostile("a mode elsewhere").add(S::Chmod, {{S::Path, "../../c1"}, {S::Mode, n(0777)}});
    hostile("an owner elsewhere").add(S::Chown, {{S::Path, "../../c1/file"}, {S::Uid, n(1)}, {S::Gid, n(1)}});
    hostile("a mode where parents are").add(S::Chmod, {{S::Path, "../containers-snapshots/c1"}, {S::Mode, n(0777)}});
    hostile("a file where parents are").file("../containers-snapshots/c1/evil", "hacked");
    hostile("a name for what a parent has")
        .add(S::Rename, {{S::Path, "../containers-snapshots/c1"}, {S::PathTo, "c1"}});
    hostile("a file beside").file("../beside", "mine");
    streams.emplace("a subvolume elsewhere", S{}.subvolume("../c2"));
    streams.emplace("a subvolume at an absolute path", S{}.subvolume(canary + ".d"));
    streams.emplace("a subvolume among the parents", S{}.subvolume("containers-snapshots/c2"));
    streams.emplace("two subvolumes", S{}.subvolume("v").subvolume("w"));
    streams.emplace("no subvolume", S{}.file("file", "mine"));

    const auto before = picture(pool / "");
    const auto around = picture(outside.path());
    for (auto& [name, stream] : streams) {
        CAPTURE(name);
        const auto problem = receive_text(pool, volume("got"), stream.add(S::End, {}).bytes());
        CHECK_FALSE(problem.empty());
        CHECK(problem.find("mkfile file failed") == std::string::npos); // what is honest in it was taken
        CHECK(picture(pool / "") == before);
        CHECK(picture(outside.path()) == around);
        CHECK_FALSE(fs::exists(canary + ".d"));
    }
    CHECK(receive_text(pool, volume("cut"), S{}.subvolume("v").bytes() + "\x20") != "");
    CHECK(picture(pool / "") == before);
    CHECK(receive_text(pool, volume("got"),
                       S{}.subvolume("v").file("file", "mine").symlink("link", canary).add(S::End, {}).bytes()) == "");
    CHECK(read_file(pool / "containers/got/file") == "mine");
    CHECK(fs::read_symlink(pool / "containers/got/link") == canary);
}
