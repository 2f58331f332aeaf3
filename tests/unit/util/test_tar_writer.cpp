// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <filesystem>
#include <random>
#include <string>

#include <fcntl.h>
#include <sys/stat.h>

#include <lxdcore/error.hpp>

#include "support/temp_dir.hpp"
#include "util/compressed_output.hpp"
#include "util/process.hpp"
#include "util/tar_writer.hpp"

using namespace lxdcore;
namespace fs = std::filesystem;

namespace {

struct Archive {
    test::TempDir temp;
    std::string bytes;
    TarWriter tar{[this](const char* data, std::size_t size) { bytes.append(data, size); }};

    /// What GNU tar makes of it.
    void unpack() {
        tar.finish();
        test::write_file(temp / "a.tar", bytes);
        fs::create_directory(temp / "out");
        run_checked({"tar", "--extract", "--numeric-owner", "--xattrs", "--xattrs-include=*", "--file",
                     (temp / "a.tar").string(), "--directory", (temp / "out").string()});
    }
    void file(TarEntry entry, const std::string& content) {
        entry.size = static_cast<std::int64_t>(content.size());
        tar.entry(entry);
        tar.data(content.data(), content.size());
    }
};

std::string compressed(const test::TempDir& temp, const std::string& how, const std::string& content) {
    const auto path = temp / "compressed";
    const UniqueFd fd{::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600)};
    auto out = compressed_output(fd.get(), Compression::parse(how), {});
    for (std::size_t at = 0; at < content.size(); at += 7777)
        out->write(content.data() + at, std::min<std::size_t>(7777, content.size() - at));
    out->finish();
    CHECK(out->written() == static_cast<std::int64_t>(fs::file_size(path)));
    return path.string();
}

} // namespace

TEST_CASE_FIXTURE(Archive, "GNU tar reads names, modes, owners, times and links") {
    const std::string longer(150, 'n');
    tar.entry({.type = TarEntry::Type::Directory, .name = "d", .uid = 1000000, .gid = 3000000000, .mode = 01777});
    file({.name = "d/" + longer, .mode = 04755, .mtime = {2000, 7}}, "content");
    tar.entry({.type = TarEntry::Type::Hardlink, .name = "d/again", .target = "d/" + longer});
    tar.entry({.type = TarEntry::Type::Symlink, .name = "d/link", .target = "/" + std::string(200, 't')});
    tar.entry({.type = TarEntry::Type::Fifo, .name = "d/pipe", .mode = 0600});
    unpack();
    struct stat status {};
    REQUIRE(::lstat((temp / "out/d").c_str(), &status) == 0);
    CHECK(status.st_mode == (S_IFDIR | 01777));
    REQUIRE(::lstat((temp / "out/d" / longer).c_str(), &status) == 0);
    CHECK(status.st_mode == (S_IFREG | 04755));
    CHECK(status.st_nlink == 2);
    CHECK(status.st_mtim.tv_sec == 2000);
    CHECK(status.st_mtim.tv_nsec == 7);
    CHECK(test::read_file(temp / "out/d/again") == "content");
    CHECK(fs::read_symlink(temp / "out/d/link") == "/" + std::string(200, 't'));
    CHECK(fs::is_fifo(temp / "out/d/pipe"));
    CHECK(bytes.size() % 512 == 0);
}

TEST_CASE_FIXTURE(Archive, "holes cost nothing in the archive and come back") {
    TarEntry entry{.name = "sparse", .mode = 0644, .size = 64 << 20};
    entry.extents = {{4096, 512}, {1 << 20, 1024}};
    tar.entry(entry);
    tar.data(std::string(512, 'h').data(), 512);
    tar.data(std::string(1024, 'x').data(), 1024);
    file({.name = "after", .mode = 0644}, "next");
    unpack();
    CHECK(bytes.size() < 16384);
    const auto content = test::read_file(temp / "out/sparse");
    REQUIRE(content.size() == 64 << 20);
    CHECK(content.substr(4095, 514) == '\0' + std::string(512, 'h') + '\0');
    CHECK(content.substr((1 << 20) - 1, 1026) == '\0' + std::string(1024, 'x') + '\0');
    CHECK(test::read_file(temp / "out/after") == "next");
}

TEST_CASE_FIXTURE(Archive, "a size that was not announced is refused") {
    tar.entry({.name = "f", .mode = 0644, .size = 3});
    CHECK_THROWS_AS(tar.data("four", 4), Error);
    tar.data("ab", 2);
    CHECK_THROWS_AS(tar.finish(), Error);
}

TEST_CASE("what is compressed is what its own program unpacks") {
    const test::TempDir temp;
    std::string content;
    std::minstd_rand random{1};
    while (content.size() < 5'000'001)
        content.append(random() % 100, static_cast<char>(random()));
    for (const auto* how : {"gzip", "gzip -1", "xz -1", "zstd", "zstd -3", "bzip2 -1", "lzma -1", "none"}) {
        CAPTURE(how);
        const auto path = compressed(temp, how, content);
        const auto name = Compression::parse(how).name;
        if (name == "none") {
            CHECK(test::read_file(path) == content);
            continue;
        }
        RunOptions options;
        options.max_output = content.size() + 1;
        options.input = test::read_file(path);
        const auto result = run({name, "-d"}, options);
        CHECK(result.code == 0);
        CHECK(result.out == content);
    }
}

TEST_CASE_FIXTURE(Archive, "a squashfs has what the tar stream had") {
    fs::create_directory(temp / "scratch");
    const auto scratch = Dir::open((temp / "scratch").string());
    const auto path = temp / "a.squashfs";
    const UniqueFd fd{::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600)};
    TarEntry sparse{.name = "sparse", .mode = 0640, .size = 8 << 20};
    sparse.extents = {{1 << 20, 1024}};
    tar.entry({.type = TarEntry::Type::Directory, .name = "d", .uid = 1000, .gid = 2000, .mode = 0711});
    file({.name = "d/f", .mode = 04755}, "content");
    tar.entry({.type = TarEntry::Type::Hardlink, .name = "d/again", .target = "d/f"});
    tar.entry(sparse);
    tar.data(std::string(1024, 'x').data(), 1024);
    tar.finish();
    auto out = compressed_output(fd.get(), Compression::parse("squashfs"), {}, &scratch);
    out->write(bytes.data(), bytes.size());
    out->finish();
    CHECK(fs::is_empty(temp / "scratch"));
    run_checked({"unsquashfs", "-q", "-n", "-d", (temp / "out").string(), path.string()});
    struct stat status {};
    REQUIRE(::lstat((temp / "out/d/f").c_str(), &status) == 0);
    CHECK(status.st_mode == (S_IFREG | 04755));
    CHECK(status.st_nlink == 2);
    CHECK(test::read_file(temp / "out/d/again") == "content");
    CHECK(test::read_file(temp / "out/sparse").substr((1 << 20) - 1, 1026) == '\0' + std::string(1024, 'x') + '\0');
}

TEST_CASE("a squashfs needs a directory to be made in") {
    CHECK_THROWS_AS(compressed_output(1, Compression::parse("squashfs"), {}), Error);
}

TEST_CASE("an empty stream is compressed too") {
    const test::TempDir temp;
    RunOptions options;
    options.input = test::read_file(compressed(temp, "gzip", ""));
    CHECK(options.input.size() > 20);
    CHECK(run({"gzip", "-d"}, options).code == 0);
}

TEST_CASE("a compressor is one of a few names and a level") {
    for (const auto* bad : {"gzip --help", "gzip -10", "sh", "gzip -1 -2", "none;x", "xz -9e", "squashfs -1"})
        CHECK_THROWS_AS(Compression::parse(bad), Error);
    CHECK(Compression::parse("").name == "gzip");
    CHECK(Compression::parse("xz -9").level == 9);
}
