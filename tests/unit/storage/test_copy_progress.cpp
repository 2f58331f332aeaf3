// SPDX-License-Identifier: Apache-2.0
#include "storage/copy_progress.hpp"

#include <doctest/doctest.h>

#include <condition_variable>
#include <mutex>
#include <vector>

#include <nlohmann/json.hpp>

#include "storage/file_copy.hpp"
#include "support/temp_dir.hpp"

using namespace lxdcore;
namespace fs = std::filesystem;

namespace {

class Heard final : public OperationContext {
public:
    std::stop_token stop_token() const override { return {}; }
    void update_metadata(const nlohmann::json&) override {}
    void set_progress(const std::string& key, const std::string& text) override {
        const std::lock_guard lock{mutex_};
        said_.emplace_back(key, text);
        more_.notify_all();
    }
    void refuse_cancel_from_here() override {}
    void throw_if_cancelled() const override {}
    std::pair<std::string, std::string> wait() {
        std::unique_lock lock{mutex_};
        more_.wait_for(lock, std::chrono::seconds{30}, [&] { return !said_.empty(); });
        return said_.empty() ? std::pair<std::string, std::string>{} : said_.front();
    }
    bool silent() const { return said_.empty(); }

private:
    std::mutex mutex_;
    std::condition_variable more_;
    std::vector<std::pair<std::string, std::string>> said_;
};

} // namespace

TEST_CASE("a copy is told about as LXD's clients show it") {
    Heard op;
    storage::CopyProgress progress{op, "c1/snap0"};
    *progress.copied() += 12'340'000;
    const auto [key, text] = op.wait();
    CHECK(key == "fs_progress");
    CHECK(text.starts_with("c1/snap0: 12.34MB ("));
    CHECK(text.ends_with("B/s)"));
}

TEST_CASE("a short copy says nothing and does not wait") {
    Heard op;
    { storage::CopyProgress progress{op, "c1"}; }
    CHECK(op.silent());
}

TEST_CASE("what a copy of a tree reads is counted") {
    test::TempDir temp;
    const fs::path from = temp / "from", to = temp / "to";
    fs::create_directory(to);
    test::write_file(from / "a/one", std::string(100'000, 'x'));
    test::write_file(from / "two", std::string(5, 'y'));
    std::atomic<std::int64_t> copied{0};
    storage::copy_tree(Dir::open(from.string()), Dir::open(to.string()), {.copied = &copied});
    CHECK((copied == 100'005 || copied == 0)); // nothing is read where blocks are shared
}
