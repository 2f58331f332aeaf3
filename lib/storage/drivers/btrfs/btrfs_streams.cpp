// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <optional>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include <lxdcore/error.hpp>

#include "storage/drivers/btrfs/btrfs_driver.hpp"
#include "storage/drivers/btrfs/subvolume.hpp"
#include "util/helper_program.hpp"
#include "util/process.hpp"
#include "util/rollback.hpp"
#include "util/text.hpp"

namespace lxdcore::storage {

namespace {

constexpr std::chrono::milliseconds kTick{200}; ///< between two looks at the stop token

/// Listens to a tool on @p ear until it ends. @p answer: of what came before it and failed, -1 for none.
void wait_for(Process tool, const UniqueFd& ear, const std::string& what, const std::stop_token& stop,
              int answer = -1) {
    std::string words;
    const auto listen = [&words](int fd) {
        std::array<char, 1024> block;
        for (ssize_t n = 0; (n = ::read(fd, block.data(), block.size())) > 0;) {
            words.append(block.data(), static_cast<std::size_t>(n));
            if (words.size() > 8192) words.erase(0, words.size() - 4096);
        }
    };
    std::optional<int> code;
    while (!(code = tool.wait_for(kTick))) {
        listen(ear.get());
        if (stop.stop_requested()) throw Error{ErrorCode::Cancelled, "Operation cancelled"}; // and the tool is killed
    }
    listen(ear.get());
    if (*code == 0) return;
    if (words.empty() && answer >= 0) listen(answer);
    const auto lines = text::split(text::trim(words), '\n');
    const auto last = lines.empty() ? std::string{} : lines.back();
    throw Error{last.find("No space") != std::string::npos || last.find("quota") != std::string::npos
                    ? ErrorCode::NoSpace
                    : ErrorCode::Internal,
                fmt::format("Failed to run: {}: exit status {} ({})", what, *code, last)};
}

/// A pipe whose reading end does not block.
std::pair<UniqueFd, UniqueFd> ear_and_mouth() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw_errno("pipe");
    std::pair<UniqueFd, UniqueFd> both{UniqueFd{ends[0]}, UniqueFd{ends[1]}};
    if (::fcntl(both.first.get(), F_SETFL, O_NONBLOCK) != 0) throw_errno("pipe");
    return both;
}

/// Runs the tool with @p fd as its input (0) or output (1).
void stream(const std::vector<std::string>& argv, int fd, int as, const std::stop_token& stop) {
    auto [ear, mouth] = ear_and_mouth();
    auto tool = spawn({.argv = argv, .fds = {{fd, as}, {mouth.get(), 2}}});
    mouth.reset();
    wait_for(std::move(tool), ear, text::join({argv[0], argv[1]}, " "), stop);
}

/// The tool believes every path of a stream and follows links that the stream made: it sees nothing but the folder, and
/// what an increment can build upon, which it cannot write to (R1, R2). Without the helper it sees the folder alone.
void receive_into(const HelperProgram* helper, const Dir& pool, const Dir& folder, int fd,
                  const std::stop_token& stop) {
    if (helper == nullptr) return stream({"btrfs", "receive", "-q", "-e", "-C", "--", folder.path()}, fd, 0, stop);
    auto [ear, mouth] = ear_and_mouth();
    auto running = helper->start("receive", nlohmann::json::object(),
                                 {{fd, 0}, {mouth.get(), 2}, {pool.fd(), 5}, {folder.fd(), 6}});
    mouth.reset();
    wait_for(std::move(running.process), ear, "btrfs receive", stop, running.reply.get());
}

std::string below(const std::string& part) { return part == "/" ? "" : part.substr(1); }

} // namespace

/// A snapshot is sent as it is; of a volume a closed snapshot is made first, beside it.
class BtrfsDriver::FrozenSource final : public Source {
public:
    FrozenSource(BtrfsDriver& driver, const VolumeId& volume) : driver_{driver} {
        if (volume.snapshot.empty()) {
            staged_ = driver.stage_clone(volume, volume, {});
            open(driver.open_staged(*staged_), driver.open(volume));
        } else {
            const auto tree = driver.open(volume);
            open(tree, tree);
        }
    }
    ~FrozenSource() override {
        if (staged_) driver_.discard(*staged_);
    }
    const std::vector<Part>& parts() const noexcept override { return parts_; }
    void send(const std::string& part, const Source* parent, int fd, std::stop_token stop) override {
        const auto find = [](const FrozenSource& in, const std::string& path) {
            return std::any_of(in.parts_.begin(), in.parts_.end(), [&](const Part& p) { return p.path == path; });
        };
        if (!find(*this, part)) throw Error{ErrorCode::NotFound, "Subvolume not found: " + part};
        std::vector<std::string> argv{"btrfs", "send", "-q"};
        const auto* other = dynamic_cast<const FrozenSource*>(parent);
        if (other && find(*other, part)) argv.insert(argv.end(), {"-p", other->path(part)});
        argv.insert(argv.end(), {"--", path(part)});
        stream(argv, fd, 1, stop);
    }

private:
    /// Nothing changes in @p tree any more: its paths are what they seem. @p original may change.
    void open(const Dir& tree, const Dir& original) {
        path_ = tree.path();
        parts_.push_back({.path = "/", .read_only = !staged_, .identity = btrfs::identity_of(original)});
        for (const auto& inner : btrfs::nested(tree)) {
            const auto of = original.exists(inner.path) ? original.dir(inner.path) : tree.dir(inner.path);
            parts_.push_back(
                {.path = "/" + inner.path, .read_only = inner.read_only, .identity = btrfs::identity_of(of)});
        }
        for (auto part = parts_.rbegin(); part != parts_.rend(); ++part) {
            const auto dir = tree.dir(below(part->path));
            if (!btrfs::read_only(dir)) btrfs::set_read_only(dir, true);
        }
    }
    std::string path(const std::string& part) const { return part == "/" ? path_ : path_ + part; }

    BtrfsDriver& driver_;
    std::optional<Staged> staged_;
    std::string path_;
    std::vector<Part> parts_;
};

/// Each part is received into a directory of its own, so that nothing in a stream is near anything else. A part keeps
/// its identity, which is what increments find it by, as long as nothing writes to it: a snapshot is moved, and what
/// belongs into a volume is snapshotted from it.
class BtrfsDriver::StreamSink final : public Sink {
public:
    StreamSink(BtrfsDriver& driver, const VolumeId& as) : driver_{driver}, staged_{driver.staging_name(as)} {}
    ~StreamSink() override {
        if (!finished_ && received_) driver_.discard(staged_);
    }
    void receive(const Part& part, int fd, std::stop_token stop) override {
        const auto parent = driver_.make_parent(staged_.as);
        const auto name = staged_.name + "-in";
        Rollback undo;
        undo.add([&] { driver_.remove_entry(parent, name); });
        const auto folder = parent.make_dir(name, 0700);
        receive_into(driver_.helper_, driver_.root(), folder, fd, stop);
        auto found = folder.list();
        std::erase_if(found, [&](const auto& name) { return stands_for_parents(folder, name); });
        if (found.size() != 1 || !btrfs::is_subvolume(folder.dir(found.front())))
            throw Error{ErrorCode::InvalidArgument, "The stream holds no subvolume"};
        place(part, folder, found.front(), parent);
    }
    Staged finish() override {
        if (!received_) throw Error{ErrorCode::InvalidArgument, "The stream holds no subvolume"};
        const auto top = driver_.open_staged(staged_);
        for (const auto& path : closed_)
            btrfs::set_read_only(top.dir(path), true);
        if (!staged_.as.snapshot.empty()) btrfs::set_read_only(top, true);
        finished_ = true;
        return staged_;
    }

private:
    /// An empty directory that something was mounted on, out of our sight.
    static bool stands_for_parents(const Dir& folder, const std::string& name) {
        return name.ends_with("-snapshots") && !btrfs::is_subvolume(folder.dir(name));
    }
    void take(const Dir& folder, const std::string& name, const Dir& into, const std::string& as) const {
        if (staged_.as.snapshot.empty()) return btrfs::snapshot(folder.dir(name), into, as);
        btrfs::set_read_only(folder.dir(name), false); // a closed subvolume cannot change its directory
        folder.rename_to(name, into, as);
    }
    void place(const Part& part, const Dir& folder, const std::string& name, const Dir& parent) {
        if (part.path == "/") {
            if (received_) throw Error{ErrorCode::InvalidArgument, "The stream holds its volume twice"};
            take(folder, name, parent, staged_.name);
            received_ = true;
            return;
        }
        if (!received_) throw Error{ErrorCode::InvalidArgument, "The stream does not begin with its volume"};
        const auto path = below(part.path);
        const auto slash = path.rfind('/');
        const auto top = driver_.open_staged(staged_);
        const auto into = slash == std::string::npos ? top.clone() : top.dir(path.substr(0, slash));
        const auto leaf = slash == std::string::npos ? path : path.substr(slash + 1);
        into.remove(leaf); // the empty directory that stands for it
        take(folder, name, into, leaf);
        if (part.read_only) closed_.push_back(path);
    }

    BtrfsDriver& driver_;
    Staged staged_;
    std::vector<std::string> closed_;
    bool received_ = false, finished_ = false;
};

std::unique_ptr<SendReceiveOps::Source> BtrfsDriver::source(const VolumeId& volume) {
    return std::make_unique<FrozenSource>(*this, volume);
}

std::unique_ptr<SendReceiveOps::Sink> BtrfsDriver::sink(const VolumeId& as) {
    return std::make_unique<StreamSink>(*this, as);
}

} // namespace lxdcore::storage
