// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <thread>

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <sys/sysmacros.h>
#include <unistd.h>

#include "db/intents.hpp"
#include "event/event_hub.hpp"
#include "image/image_manager.hpp"
#include "operation/operation_manager.hpp"
#include "support/archive_builder.hpp"
#include "support/memory_db.hpp"
#include "support/temp_dir.hpp"
#include "util/text.hpp"

using namespace lxdcore;
using lxdcore::test::ArchiveBuilder;
namespace fs = std::filesystem;

namespace {

constexpr const char* kYaml =
    "architecture: x86_64\ncreation_date: 1700000000\nproperties:\n  os: test\n  release: 1\n";

class QuietContext final : public OperationContext {
public:
    std::stop_token stop_token() const override { return source.get_token(); }
    void update_metadata(const nlohmann::json&) override {}
    void set_progress(const std::string&, const std::string&) override {}
    void refuse_cancel_from_here() override {}
    void throw_if_cancelled() const override {
        if (source.stop_requested()) throw Error{ErrorCode::Cancelled, "Operation cancelled"};
    }
    std::stop_source source;
};

/// Storage and images on a state directory of their own, with one pool "p".
struct Fixture {
    test::TempDir temp;
    Dir state;
    Logger log;
    std::unique_ptr<db::Database> local = test::memory_local(), global = test::memory_global();
    Reactor reactor;
    WorkerPool workers{2};
    std::unique_ptr<EventService> events = make_event_service();
    std::unique_ptr<OperationService> operations = make_operation_service(*events, workers, reactor, log);
    std::unique_ptr<storage::StorageManager> storage;
    HelperProgram helper{std::getenv("LXDCORE_HELPER") ? std::getenv("LXDCORE_HELPER") : "lxdcore-helper"};
    std::unique_ptr<image::ImageManager> images;
    QuietContext op;
    std::string first_pool;

    Fixture() : state{Dir::open(temp.path().string())} {
        storage = storage::make_storage_manager(*local, *global, state, *events, log);
        storage->start();
        api::StoragePoolsPost pool;
        pool.name = "p";
        pool.driver = "dir";
        storage->create(pool);
        images = image::make_image_manager(*local, *global, *storage, *operations, *events, helper, log,
                                           [this](const auto&, const auto&) { return first_pool; });
        images->start();
    }

    ~Fixture() { operations->drain(std::chrono::seconds{30}); }

    OperationPtr import(const std::string& metadata, const std::string& rootfs = "", ImageUpload upload = {}) {
        auto sink = images->upload();
        sink->write_metadata(metadata.data(), metadata.size());
        if (!rootfs.empty()) sink->write_rootfs(rootfs.data(), rootfs.size());
        auto operation = sink->finish(upload);
        REQUIRE(operation->wait(std::chrono::seconds{60}));
        return operation;
    }
    void refuses(const std::string& archive) {
        const auto operation = import(archive);
        CHECK(operation->status() == api::Status::Failure);
        CHECK(images->fingerprints("default", false).empty());
        CHECK(state.dir("images").list().empty());
    }
    /// The unpacked tree.
    fs::path unpack(const std::string& fingerprint) {
        storage->ensure_image("p", fingerprint, images->filler(fingerprint), op);
        return temp / ("storage-pools/p/images/" + fingerprint);
    }
};

/// Of a size that is not read to its end by an import.
ArchiveBuilder large() {
    ArchiveBuilder builder;
    std::mt19937_64 random{7};
    std::string noise(8 << 20, ' ');
    for (auto& byte : noise)
        byte = static_cast<char>(random());
    builder.file("metadata.yaml", kYaml).dir("rootfs").file("rootfs/noise", noise);
    return builder;
}

ArchiveBuilder minimal() {
    ArchiveBuilder builder;
    builder.file("metadata.yaml", kYaml).dir("rootfs");
    return builder;
}

} // namespace

TEST_CASE_FIXTURE(Fixture, "an image is imported and unpacked with owners, modes, links and attributes") {
    const auto archive = minimal()
                             .dir("templates")
                             .file("templates/a.tpl", "x")
                             .file("rootfs/su", "s", 04755)
                             .xattr("user.note", "hello")
                             .file("rootfs/mine", "m", 0640, 1000)
                             .hardlink("rootfs/again", "rootfs/mine")
                             .symlink("rootfs/out", "/etc/shadow")
                             .node("rootfs/pipe", AE_IFIFO)
                             .node("rootfs/null", AE_IFCHR, makedev(1, 3))
                             .bytes("gzip");
    const auto operation = import(archive);
    REQUIRE_MESSAGE(operation->status() == api::Status::Success, operation->error());
    const auto image = images->get("default", text::sha256_hex(archive), false);
    CHECK(image.architecture == "x86_64");
    CHECK(image.properties.at("release") == "1");
    CHECK(image.size == static_cast<std::int64_t>(archive.size()));
    const auto tree = unpack(image.fingerprint);
    struct stat status {};
    REQUIRE(::lstat((tree / "rootfs/su").c_str(), &status) == 0);
    CHECK(status.st_mode == (S_IFREG | 04755));
    CHECK(status.st_uid == 0);
    char value[16] = {};
    CHECK(::getxattr((tree / "rootfs/su").c_str(), "user.note", value, sizeof value) == 5);
    REQUIRE(::lstat((tree / "rootfs/again").c_str(), &status) == 0);
    CHECK(status.st_uid == 1000);
    CHECK(status.st_nlink == 2);
    CHECK(fs::read_symlink(tree / "rootfs/out") == "/etc/shadow");
    CHECK(fs::is_fifo(tree / "rootfs/pipe"));
    CHECK_FALSE(fs::exists(tree / "rootfs/null"));
    storage->create_from_image("p", "default", "c1", image.fingerprint, op);
    CHECK(test::read_file(temp / "containers/c1/rootfs/mine") == "m");
    const auto files = images->open_export("default", image.fingerprint, false);
    REQUIRE(files.size() == 1);
    CHECK(files[0].name == image.fingerprint + ".tar.gz");
    CHECK(files[0].size == static_cast<std::int64_t>(archive.size()));
    ::close(files[0].fd);
}

TEST_CASE_FIXTURE(Fixture, "every compression and a split image can be imported") {
    for (const char* filter : {"", "gzip", "bzip2", "xz", "lzma", "zstd"}) {
        CAPTURE(filter);
        const auto rootfs = ArchiveBuilder{}.dir("./").dir("./etc").file("./etc/kind", filter).bytes(filter);
        const auto metadata = ArchiveBuilder{}.file("metadata.yaml", kYaml).bytes(filter);
        const auto operation = import(metadata, rootfs);
        REQUIRE_MESSAGE(operation->status() == api::Status::Success, operation->error());
        const auto tree = unpack(text::sha256_hex(metadata + rootfs));
        CHECK(test::read_file(tree / "rootfs/etc/kind") == filter);
    }
}

TEST_CASE_FIXTURE(Fixture, "entries that leave the tree or pretend to be something else are refused") {
    test::write_file(temp / "canary", "untouched");
    const auto canary = (temp / "canary").string();
    refuses(minimal().file("../../escape", "x").bytes());
    refuses(minimal().file("rootfs/../../escape", "x").bytes());
    refuses(minimal().file(canary, "x").bytes());
    refuses(minimal().file("rootfs//x", "x").bytes());
    refuses(minimal().hardlink("rootfs/x", "../../../etc/shadow").bytes());
    refuses(minimal().hardlink("rootfs/x", canary).bytes());
    refuses(ArchiveBuilder{}.symlink("metadata.yaml", "/etc/hostname").dir("rootfs").bytes());
    refuses(ArchiveBuilder{}.node("metadata.yaml", AE_IFIFO).dir("rootfs").bytes());
    refuses(ArchiveBuilder{}.file("metadata.yaml", kYaml).symlink("rootfs", "/").bytes());
    refuses(minimal().symlink("templates", "/etc").bytes());
    refuses(minimal().dir("templates").symlink("templates/x.tpl", "/etc/shadow").bytes());
    refuses(ArchiveBuilder{}.file("rootfs/m", kYaml).hardlink("metadata.yaml", "rootfs/m").bytes());
    CHECK(test::read_file(canary) == "untouched");
}

TEST_CASE_FIXTURE(Fixture, "a file that goes through a link of the image ends the unpacking") {
    const auto target = temp / "elsewhere";
    fs::create_directory(target);
    const auto archive = minimal().symlink("rootfs/l", target.string()).file("rootfs/l/x", "x").bytes();
    REQUIRE(import(archive)->status() == api::Status::Success);
    CHECK_THROWS_AS(unpack(text::sha256_hex(archive)), Error);
    CHECK(fs::is_empty(target));
    CHECK(fs::is_empty(temp / "storage-pools/p/images"));
}

TEST_CASE_FIXTURE(Fixture, "metadata that is missing, huge or wrong is refused") {
    const auto with = [](const std::string& yaml) {
        return ArchiveBuilder{}.file("metadata.yaml", yaml).dir("rootfs").bytes();
    };
    refuses(ArchiveBuilder{}.dir("rootfs").bytes());
    refuses(ArchiveBuilder{}.file("metadata.yaml", kYaml).bytes());
    refuses(with(std::string(2 << 20, '#')));
    refuses(with("a: [b"));
    refuses(with("architecture: pdp11\ncreation_date: 1\n"));
    refuses("");
    refuses("garbage that is no archive");
}

TEST_CASE_FIXTURE(Fixture, "a truncated image fails in every format") {
    for (const char* filter : {"", "gzip", "bzip2", "xz", "lzma", "zstd"}) {
        CAPTURE(filter);
        auto archive = minimal().file("rootfs/data", text::random_hex(200000)).bytes(filter);
        archive.resize(archive.size() / 2);
        refuses(archive);
    }
}

TEST_CASE_FIXTURE(Fixture, "the fingerprint that was announced must be the one that came") {
    const auto archive = minimal().bytes();
    const auto operation = import(archive, "", {.expected_fingerprint = std::string(64, '0')});
    CHECK(operation->error() ==
          "fingerprints don't match, got " + text::sha256_hex(archive) + " expected " + std::string(64, '0'));
    CHECK(images->fingerprints("default", false).empty());
}

TEST_CASE_FIXTURE(Fixture, "an image can be imported once and removed with its files and trees") {
    const auto archive = minimal().bytes();
    const auto fingerprint = text::sha256_hex(archive);
    REQUIRE(import(archive)->status() == api::Status::Success);
    CHECK(import(archive)->error() == "Image with same fingerprint already exists");
    const auto tree = unpack(fingerprint);
    const auto removal = images->remove("default", fingerprint);
    REQUIRE(removal->wait(std::chrono::seconds{30}));
    CHECK(removal->status() == api::Status::Success);
    CHECK_FALSE(fs::exists(tree));
    CHECK(state.dir("images").list().empty());
}

TEST_CASE_FIXTURE(Fixture, "fingerprints are whole or prefixes of twelve digits, never patterns") {
    const auto archive = minimal().bytes();
    const auto fingerprint = text::sha256_hex(archive);
    REQUIRE(import(archive)->status() == api::Status::Success);
    CHECK(images->get("default", fingerprint.substr(0, 12), false).fingerprint == fingerprint);
    for (const std::string bad :
         {"%", "", "____________", fingerprint.substr(0, 11).c_str(), "%%%%%%%%%%%%", "../../../../x"})
        CHECK_THROWS_AS(images->get("default", bad, false), Error);
    CHECK_THROWS_AS(images->get("default", fingerprint, true), Error);
}

TEST_CASE_FIXTURE(Fixture, "a secret for an image is given up when it is cancelled, and with the manager") {
    REQUIRE(import(minimal().bytes())->status() == api::Status::Success);
    const auto fingerprint = images->fingerprints("default", false).at(0);
    const auto cancelled = images->create_secret("default", fingerprint);
    CHECK(cancelled->status() == api::Status::Running);
    cancelled->cancel();
    CHECK(cancelled->status() == api::Status::Cancelled);
    const auto unused = images->create_secret("default", fingerprint);
    images.reset();
    CHECK(unused->status() == api::Status::Failure);
    CHECK_THROWS_AS(unused->cancel(), Error);
}

TEST_CASE_FIXTURE(Fixture, "what an interrupted import left is removed at the next start") {
    const std::string fingerprint(64, 'a');
    db::IntentLog{*local}.begin("image-import", "default", fingerprint);
    state.dir("images").write(fingerprint, "half");
    state.dir("images").write(fingerprint + ".rootfs", "half");
    state.dir("images").write(".upload-1", "half");
    images->start();
    CHECK(state.dir("images").list().empty());
    CHECK(db::IntentLog{*local}.pending("image-import").empty());
}

TEST_CASE_FIXTURE(Fixture, "an image that unpacks to far more than its size is refused") {
    ArchiveBuilder builder = minimal();
    for (int i = 0; i < 20; ++i)
        builder.zeros("rootfs/z" + std::to_string(i), 64 << 20);
    refuses(builder.bytes("zstd"));
}

TEST_CASE_FIXTURE(Fixture, "damage behind the last entry of an archive is found, too") {
    const auto archive = minimal().bytes("xz");
    refuses(archive.substr(0, archive.size() - 8)); // the entries are whole, the index of the stream is not
    const auto packed = minimal().bytes("gzip");
    refuses(packed.substr(0, packed.size() - 6));
}

TEST_CASE_FIXTURE(Fixture, "a bomb behind the last entry of an archive is refused") {
    ArchiveBuilder builder;
    for (int i = 0; i < 20; ++i)
        builder.zeros("z" + std::to_string(i), 64 << 20);
    refuses(minimal().bytes("zstd") + builder.bytes("zstd"));
}

TEST_CASE_FIXTURE(Fixture,
                  "what is wrong far behind in a large archive is found when it is unpacked, and nothing stays") {
    test::write_file(temp / "canary", "untouched");
    const auto canary = (temp / "canary").string();
    for (const auto& archive :
         {large().file("../../escape", "x").bytes("gzip"), large().file(canary, "x").bytes("xz"),
          large().hardlink("rootfs/x", canary).bytes("zstd"), large().symlink("templates", "/etc").bytes(),
          large().file("metadata.yaml", kYaml).bytes(), large().bytes("gzip").substr(0, 6 << 20)}) {
        const auto operation = import(archive);
        REQUIRE_MESSAGE(operation->status() == api::Status::Success, operation->error());
        CHECK_THROWS_AS(unpack(text::sha256_hex(archive)), Error);
        CHECK(fs::is_empty(temp / "storage-pools/p/images"));
    }
    CHECK(test::read_file(canary) == "untouched");
    CHECK_FALSE(fs::exists(temp / "escape"));
}

TEST_CASE_FIXTURE(Fixture, "a large archive that cannot be whole is refused at once where its format tells") {
    const auto archive = large().bytes("xz");
    refuses(archive.substr(0, archive.size() - 4));
    refuses(archive.substr(0, archive.size() / 2));
    refuses(archive + std::string(1 << 20, '\0'));
    const auto padded = archive + std::string(8, '\0'); // as the format allows
    REQUIRE(import(padded)->status() == api::Status::Success);
    CHECK(fs::file_size(unpack(text::sha256_hex(padded)) / "rootfs/noise") == 8 << 20);
}

TEST_CASE_FIXTURE(Fixture, "a new image is unpacked where its first instance will be, without being asked") {
    first_pool = "p";
    const auto archive = large().bytes("xz");
    REQUIRE(import(archive)->status() == api::Status::Success);
    const auto tree = temp / ("storage-pools/p/images/" + text::sha256_hex(archive));
    for (int i = 0; i < 600 && !fs::exists(tree); ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds{100});
    CHECK(fs::file_size(tree / "rootfs/noise") == 8 << 20);
}

TEST_CASE_FIXTURE(Fixture, "an image that is deleted while it is being unpacked leaves nothing") {
    first_pool = "p";
    for (const char* filter : {"", "gzip", "xz"}) {
        const auto archive = large().bytes(filter);
        REQUIRE(import(archive)->status() == api::Status::Success);
        const auto removal = images->remove("default", text::sha256_hex(archive));
        REQUIRE(removal->wait(std::chrono::seconds{30}));
        CHECK(removal->status() == api::Status::Success);
        CHECK(fs::is_empty(temp / "storage-pools/p/images"));
        CHECK(state.dir("images").list().empty());
    }
}

TEST_CASE_FIXTURE(Fixture, "a pool that is not there for a new image harms nothing") {
    first_pool = "gone";
    const auto archive = minimal().bytes();
    CHECK(import(archive)->status() == api::Status::Success);
    CHECK(fs::exists(unpack(text::sha256_hex(archive)) / "metadata.yaml"));
}
