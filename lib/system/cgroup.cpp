// SPDX-License-Identifier: Apache-2.0
#include "system/cgroup.hpp"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <thread>

#include <lxdcore/error.hpp>

#include "util/text.hpp"

namespace lxdcore {

namespace {

constexpr std::size_t kMaxFile = 1 << 20;
/// The kernel's "no limit" reads back as a number near 2^63.
constexpr std::int64_t kUnlimited = std::int64_t{1} << 60;

std::int64_t number(const std::optional<std::string>& value) {
    if (!value) return 0;
    const auto parsed = text::parse_int(text::trim(*value));
    return parsed && *parsed < kUnlimited ? *parsed : 0;
}

std::int64_t field(const std::optional<std::string>& table, std::string_view key) {
    if (!table) return 0;
    for (const auto& line : text::split(*table, '\n')) {
        const auto fields = text::split(line, ' ');
        if (fields.size() == 2 && fields[0] == key) return text::parse_int(fields[1]).value_or(0);
    }
    return 0;
}

void write_value(const Dir& dir, const std::string& key, const std::string& value) {
    const auto fd = dir.open_file(key, O_WRONLY | O_CLOEXEC);
    if (::write(fd.get(), value.data(), value.size()) < 0) throw_errno("set " + key + " to " + value);
}

/// Octal escapes of mountinfo.
std::string unescape(const std::string& text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\\' && i + 3 < text.size()) {
            out += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
            i += 3;
        } else {
            out += text[i];
        }
    }
    return out;
}

void kill_tasks(const Dir& dir, int depth) {
    if (const auto procs = dir.read_if_exists("cgroup.procs", kMaxFile)) {
        for (const auto& line : text::split(*procs, '\n'))
            if (const auto pid = text::parse_int(line); pid && *pid > 1) ::kill(static_cast<pid_t>(*pid), SIGKILL);
    }
    if (depth == 0) return;
    for (const auto& name : dir.list())
        if (S_ISDIR(dir.stat(name).st_mode)) kill_tasks(dir.dir(name), depth - 1);
}

void remove_below(const Dir& dir, int depth) {
    if (depth == 0) return;
    for (const auto& name : dir.list()) {
        if (!S_ISDIR(dir.stat(name).st_mode)) continue;
        remove_below(dir.dir(name), depth - 1);
        ::unlinkat(dir.fd(), name.c_str(), AT_REMOVEDIR);
    }
}

constexpr int kMaxDepth = 32;

} // namespace

CgroupLayout CgroupLayout::parse(const std::string& mountinfo) {
    std::vector<Mount> mounts;
    for (const auto& line : text::split(mountinfo, '\n')) {
        const auto dash = line.find(" - ");
        if (dash == std::string::npos) continue;
        const auto left = text::split(line.substr(0, dash), ' ');
        const auto right = text::split(line.substr(dash + 3), ' ');
        if (left.size() < 5 || right.size() < 3 || (right[0] != "cgroup" && right[0] != "cgroup2")) continue;
        Mount mount{.path = unescape(left[4]), .unified = right[0] == "cgroup2"};
        if (!mount.unified) {
            for (const auto& option : text::split(right[2], ',')) {
                if (option == "rw" || option == "ro" || option == "xattr" || option == "clone_children") continue;
                mount.controllers.push_back(option);
            }
        }
        const auto same = [&](const Mount& other) { return other.controllers == mount.controllers; };
        if (std::none_of(mounts.begin(), mounts.end(), same)) mounts.push_back(std::move(mount));
    }
    return CgroupLayout{std::move(mounts)};
}

CgroupLayout CgroupLayout::detect() {
    auto layout = parse(Dir::open("/proc/self").read("mountinfo", 16 << 20));
    for (auto& mount : layout.mounts_) {
        if (!mount.unified) continue;
        if (const auto controllers = Dir::open(mount.path).read_if_exists("cgroup.controllers"))
            mount.controllers = text::split(text::trim(*controllers), ' ');
    }
    return layout;
}

const CgroupLayout::Mount* CgroupLayout::find(std::string_view controller) const noexcept {
    for (const auto& mount : mounts_)
        if (std::find(mount.controllers.begin(), mount.controllers.end(), controller) != mount.controllers.end())
            return &mount;
    return nullptr;
}

bool CgroupLayout::unified(std::string_view controller) const noexcept {
    const auto* mount = find(controller);
    return mount != nullptr && mount->unified;
}

const CgroupLayout::Mount* CgroupLayout::unified_mount() const noexcept {
    for (const auto& mount : mounts_)
        if (mount.unified) return &mount;
    return nullptr;
}

bool CgroupLayout::hybrid() const noexcept {
    const auto* unified = unified_mount();
    return unified != nullptr && !unified->controllers.empty() &&
           std::any_of(mounts_.begin(), mounts_.end(), [](const Mount& mount) { return !mount.unified; });
}

bool CgroupLayout::offers(const CgroupItem& item) const {
    const auto* mount = find(item.controller);
    if (mount == nullptr) return false;
    // Only this family comes and goes with the kernel's configuration; its files are also in the root.
    if (mount->unified || !item.key.starts_with("memory.memsw.")) return true;
    return Dir::open(mount->path).exists(item.key);
}

std::string CgroupLayout::disk_weight_key() const {
    // The root group has no weight of its own, but other files tell which policies the kernel has.
    if (const auto* mount = find("io"); mount != nullptr && mount->unified)
        return Dir::open(mount->path).exists("io.cost.qos") ? "io.weight" : "io.bfq.weight";
    const auto* mount = find("blkio");
    if (mount == nullptr) return {};
    const auto dir = Dir::open(mount->path);
    if (dir.exists("blkio.weight")) return "blkio.weight";
    return dir.exists("blkio.bfq.io_service_bytes") ? "blkio.bfq.weight" : "";
}

void CgroupLayout::enable(std::string_view controller) const {
    const auto* mount = find(controller);
    if (mount == nullptr || !mount->unified) return;
    const auto dir = Dir::open(mount->path);
    const auto enabled = text::split(text::trim(dir.read_if_exists("cgroup.subtree_control").value_or("")), ' ');
    if (std::find(enabled.begin(), enabled.end(), controller) != enabled.end()) return;
    write_value(dir, "cgroup.subtree_control", "+" + std::string{controller});
}

std::optional<Dir> Cgroup::open(const CgroupLayout::Mount& mount) const {
    try {
        return Dir::open(mount.path).dir(path_);
    } catch (const Error& error) {
        if (error.code() == ErrorCode::NotFound) return std::nullopt;
        throw;
    }
}

bool Cgroup::exists() const { return !directories().empty(); }

std::vector<std::string> Cgroup::directories() const {
    std::vector<std::string> out;
    for (const auto& mount : layout_.mounts())
        if (open(mount)) out.push_back(mount.path + "/" + path_);
    return out;
}

void Cgroup::apply(const std::vector<CgroupItem>& items) const {
    for (const auto& item : items) {
        const auto* mount = layout_.find(item.controller);
        if (mount == nullptr) continue;
        const auto dir = open(*mount);
        if (!dir) throw Error{ErrorCode::BadState, "no cgroup of the instance for " + item.controller};
        // Without swap accounting the kernel has no memsw files; the limit on memory alone still holds.
        if (!dir->exists(item.key)) continue;
        write_value(*dir, item.key, item.value);
    }
}

namespace {

/// Nothing as well when meanwhile the last process went and took the group along: ENODEV of the open or of a read.
std::optional<std::string> read_while_there(const std::optional<Dir>& dir, std::string_view key) {
    if (!dir) return std::nullopt;
    UniqueFd file;
    try {
        file = dir->open_file(key, O_RDONLY);
    } catch (const Error&) { // a directory that is removed finds nothing any more
        if (!dir->exists(key)) return std::nullopt;
        throw;
    }
    std::string text;
    std::array<char, 4096> piece{};
    while (text.size() < kMaxFile) {
        const auto size = ::read(file.get(), piece.data(), piece.size());
        if (size == 0) break;
        if (size < 0 && errno == EINTR) continue;
        if (size < 0 && errno == ENODEV) return std::nullopt;
        if (size < 0) throw_errno(dir->path() + "/" + std::string{key});
        text.append(piece.data(), static_cast<std::size_t>(size));
    }
    return text;
}

} // namespace

std::optional<std::string> Cgroup::read(std::string_view controller, std::string_view key) const {
    const auto* mount = layout_.find(controller);
    if (mount == nullptr) return std::nullopt;
    return read_while_there(open(*mount), key);
}

void Cgroup::freeze(bool frozen) const {
    const auto* v1 = layout_.find("freezer");
    const auto* mount = v1 != nullptr ? v1 : layout_.unified_mount();
    const auto dir = mount != nullptr ? open(*mount) : std::nullopt;
    if (!dir) throw Error{ErrorCode::BadState, "The container has no freezer cgroup"};
    const bool old = v1 != nullptr && !v1->unified;
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{10};
    for (;;) {
        // v1 may stop at FREEZING; writing again picks up tasks that were born in between.
        if (old)
            write_value(*dir, "freezer.state", frozen ? "FROZEN" : "THAWED");
        else
            write_value(*dir, "cgroup.freeze", frozen ? "1" : "0");
        if (this->frozen() == frozen) return;
        if (std::chrono::steady_clock::now() > deadline)
            throw Error{ErrorCode::Internal, frozen ? "freezing timed out" : "unfreezing timed out"};
        std::this_thread::sleep_for(std::chrono::milliseconds{2});
    }
}

bool Cgroup::frozen() const {
    if (const auto state = read("freezer", "freezer.state")) return text::trim(*state) == "FROZEN";
    const auto* mount = layout_.unified_mount();
    if (mount == nullptr) return false;
    return field(read_while_there(open(*mount), "cgroup.events"), "frozen") == 1;
}

void Cgroup::kill_all() const noexcept {
    for (const auto& mount : layout_.mounts()) {
        try {
            const auto dir = open(mount);
            if (!dir) continue;
            if (mount.unified && dir->exists("cgroup.kill"))
                write_value(*dir, "cgroup.kill", "1");
            else if (mount.unified || mount.controllers == std::vector<std::string>{"freezer"})
                kill_tasks(*dir, kMaxDepth);
        } catch (const Error&) { // what is gone needs no signal
        }
    }
    try {
        if (frozen()) freeze(false);
    } catch (const Error&) { // a v1 task dies when it thaws; the next attempt tries again
    }
}

void Cgroup::remove() const noexcept {
    for (const auto& mount : layout_.mounts()) {
        try {
            const auto dir = open(mount);
            if (!dir) continue;
            remove_below(*dir, kMaxDepth);
            ::unlinkat(Dir::open(mount.path).fd(), path_.c_str(), AT_REMOVEDIR);
        } catch (const Error&) { // busy ones are tried again at the next start
        }
    }
}

Cgroup::Usage Cgroup::usage() const {
    Usage out;
    if (layout_.unified("memory")) {
        out.memory = number(read("memory", "memory.current"));
        out.memory_peak = number(read("memory", "memory.peak"));
        out.memory_limit = number(read("memory", "memory.max"));
        out.swap = number(read("memory", "memory.swap.current"));
        out.swap_peak = number(read("memory", "memory.swap.peak"));
    } else {
        out.memory = number(read("memory", "memory.usage_in_bytes"));
        out.memory_peak = number(read("memory", "memory.max_usage_in_bytes"));
        out.memory_limit = number(read("memory", "memory.limit_in_bytes"));
        const auto both = number(read("memory", "memory.memsw.usage_in_bytes"));
        const auto both_peak = number(read("memory", "memory.memsw.max_usage_in_bytes"));
        out.swap = std::max<std::int64_t>(0, both - out.memory);
        out.swap_peak = std::max<std::int64_t>(0, both_peak - out.memory_peak);
    }
    out.processes = number(read("pids", "pids.current"));
    if (const auto ns = read("cpuacct", "cpuacct.usage"))
        out.cpu_ns = number(ns);
    else if (const auto* mount = layout_.unified_mount(); mount != nullptr)
        out.cpu_ns = field(read_while_there(open(*mount), "cpu.stat"), "usage_usec") * 1000;
    return out;
}

} // namespace lxdcore
