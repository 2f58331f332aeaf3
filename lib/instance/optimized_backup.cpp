// SPDX-License-Identifier: Apache-2.0
#include "instance/optimized_backup.hpp"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <lxdcore/error.hpp>

#include "api/ordered_yaml.hpp"
#include "image/cage.hpp"
#include "util/text.hpp"

namespace lxdcore::instance {

namespace {

constexpr std::size_t kMostParts = 100'000;
constexpr std::chrono::milliseconds kLookEvery{200};

[[noreturn]] void refuse(const std::string& why) { throw Error{ErrorCode::InvalidArgument, "Invalid backup: " + why}; }

/// Absolute, and nowhere but below.
void check_path(const std::string& path) {
    const auto bad = [&] { refuse("its header has a subvolume at " + text::quote(path)); };
    if (path.empty() || path.front() != '/' || path.size() > 4000 || path.find('\0') != std::string::npos) bad();
    if (path == "/") return;
    for (const auto& step : text::split(path.substr(1), '/'))
        if (step.empty() || step == "." || step == ".." || step.size() > 255) bad();
}

BackupPart part_of(const nlohmann::json& json) {
    const auto text = [&](const char* key) {
        const auto it = json.find(key);
        return it == json.end() || !it->is_string() ? std::string{} : it->get<std::string>();
    };
    if (!json.is_object()) refuse("its header is no list of subvolumes");
    const auto closed = json.find("readonly");
    return {.snapshot = text("snapshot"),
            .path = text("path"),
            .read_only = closed != json.end() && closed->is_boolean() && closed->get<bool>()};
}

/// Stops what writes to a filesystem that has no more to give (R54), and what is cancelled.
class SpaceWatch {
public:
    SpaceWatch(const Dir& folder, std::stop_token outer)
        : forward_{std::move(outer), [this] { stop_.request_stop(); }}, watch_{[this,
                                                                                &folder](const std::stop_token& end) {
              run(folder, end);
          }} {}
    std::stop_token stop() const { return stop_.get_token(); }
    bool full() const { return full_; }

private:
    void run(const Dir& folder, const std::stop_token& end) {
        std::unique_lock lock{mutex_};
        while (!end.stop_requested()) {
            wake_.wait_for(lock, end, kLookEvery, [] { return false; });
            if (end.stop_requested() || image::free_space(folder) > 0) continue;
            full_ = true;
            stop_.request_stop();
            return;
        }
    }
    std::stop_source stop_;
    std::atomic<bool> full_{false};
    std::mutex mutex_;
    std::condition_variable_any wake_;
    std::stop_callback<std::function<void()>> forward_;
    std::jthread watch_; ///< last: it ends before what it uses
};

} // namespace

std::string part_file(const BackupLayout& layout, const BackupPart& part) {
    auto name = layout.at(part.snapshot);
    if (part.path != "/") {
        name += '_';
        for (const char c : part.path.substr(1)) {
            if (c == '-') name += '-';
            name += c == '/' ? '-' : c;
        }
    }
    return name + ".bin";
}

std::vector<BackupPart> read_parts(const nlohmann::json& header, const std::vector<std::string>& snapshots) {
    std::vector<BackupPart> parts;
    if (header.is_null()) {
        for (const auto& snapshot : snapshots)
            parts.push_back({snapshot, "/", true});
        parts.push_back({"", "/", false});
        return parts;
    }
    const auto list = header.is_object() ? header.find("subvolumes") : header.end();
    if (list == header.end() || !list->is_array()) refuse("its header is no list of subvolumes");
    if (list->size() > kMostParts) refuse("its header has too many subvolumes");
    std::set<std::pair<std::string, std::string>> seen;
    for (const auto& item : *list) {
        auto part = part_of(item);
        check_path(part.path);
        if (!part.snapshot.empty() && std::find(snapshots.begin(), snapshots.end(), part.snapshot) == snapshots.end())
            refuse("its header has an unknown snapshot " + text::quote(part.snapshot));
        if (part.path != "/" && !seen.contains({part.snapshot, "/"})) refuse("its header has subvolumes of nothing");
        if (!seen.emplace(part.snapshot, part.path).second) refuse("its header has a subvolume twice");
        parts.push_back(std::move(part));
    }
    for (const auto& snapshot : snapshots)
        if (!seen.contains({snapshot, "/"})) refuse("its header lacks the snapshot " + text::quote(snapshot));
    if (!seen.contains({"", "/"})) refuse("its header lacks the volume");
    return parts;
}

void write_optimized(BackupWriter& writer, const BackupLayout& layout, storage::StorageDriver& driver,
                     const storage::VolumeId& volume, const std::vector<std::string>& snapshots, bool header,
                     const Dir& folder, OperationContext& op) {
    std::vector<std::pair<std::string, std::unique_ptr<storage::SendReceiveOps::Source>>> sources;
    const auto add = [&](const std::string& snapshot) {
        const storage::VolumeId id{.place = volume.place, .name = volume.name, .snapshot = snapshot};
        sources.emplace_back(snapshot, driver.send_receive()->source(id));
    };
    for (const auto& snapshot : snapshots)
        add(snapshot);
    add("");
    if (header) {
        auto subvolumes = nlohmann::ordered_json::array();
        for (const auto& [snapshot, source] : sources)
            for (const auto& part : source->parts())
                subvolumes.push_back({{"path", part.path},
                                      {"snapshot", snapshot},
                                      {"readonly", part.read_only},
                                      {"uuid", part.identity}});
        writer.file("backup/optimized_header.yaml", api::encode_ordered_yaml({{"subvolumes", std::move(subvolumes)}}));
    }
    const SpaceWatch watch{folder, op.stop_token()};
    const storage::SendReceiveOps::Source* parent = nullptr;
    for (const auto& [snapshot, source] : sources) {
        for (const auto& part : source->parts()) {
            writer.file(part_file(layout, {snapshot, part.path, part.read_only}), [&, &from = source](int fd) {
                try {
                    from->send(part.path, parent, fd, watch.stop());
                } catch (const Error&) {
                    if (watch.full()) throw Error{ErrorCode::NoSpace, "No space left for the backup"};
                    throw;
                }
            });
        }
        parent = source.get();
    }
}

} // namespace lxdcore::instance
