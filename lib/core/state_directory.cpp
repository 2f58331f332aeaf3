// SPDX-License-Identifier: Apache-2.0
#include "core/state_directory.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <string_view>
#include <thread>

#include <fmt/format.h>

#include <lxdcore/error.hpp>

#include "storage/server_folders.hpp"
#include "util/text.hpp"

namespace lxdcore {

namespace {

constexpr const char* lock_name = "lxdcored.lock";

struct Place {
    const char* name;
    mode_t mode;
};
/// LXD's directories; what others may not even list is 0700 (R37, D9).
constexpr std::array<Place, 19> places{{{"backups", 0700},
                                        {"backups/custom", 0700},
                                        {"backups/instances", 0700},
                                        {"cache", 0700},
                                        {"containers", 0711},
                                        {"database", 0700},
                                        {"database/global", 0700},
                                        {"devices", 0711},
                                        {"devlxd", 0755},
                                        {"disks", 0700},
                                        {"images", 0700},
                                        {"logs", 0700},
                                        {"networks", 0711},
                                        {"security", 0700},
                                        {"shmounts", 0711},
                                        {"snapshots", 0700},
                                        {"storage-pools", 0711},
                                        {"virtual-machines", 0700},
                                        {"virtual-machines-snapshots", 0700}}};

Dir open_state_dir(const std::filesystem::path& path) {
    if (!path.is_absolute()) {
        throw Error{ErrorCode::InvalidArgument, fmt::format("{}: the state directory must be absolute", path.string())};
    }
    return Dir::open_or_make(path.string());
}

bool has_rows(const Dir& dir, const std::string& name) {
    const auto status = dir.stat_if_exists(name);
    return status && status->st_size > 0;
}

/// The name of an instance whose files are here, "" if there is none.
std::string find_instance(const Dir& dir) {
    for (const auto& name : dir.dir("containers").list())
        return name;
    const Dir pools = dir.dir("storage-pools");
    for (const auto& pool : pools.list()) {
        if (!S_ISDIR(pools.stat(pool).st_mode)) continue;
        const auto containers = pool + "/containers";
        const auto status = pools.stat_if_exists(containers);
        if (!status || !S_ISDIR(status->st_mode)) continue;
        for (const auto& name : pools.dir(containers).list()) {
            if (!name.starts_with('.')) return name;
        }
    }
    return {};
}

/// A process that was killed while it started a helper leaves its lock to that one, until the helper's exec.
constexpr std::chrono::milliseconds kOrphanTime{2000}, kPause{10};

/// Also true of what is no process id: nobody knows.
bool is_alive(const std::string& pid) {
    pid_t number = 0;
    const auto [end, ec] = std::from_chars(pid.data(), pid.data() + pid.size(), number);
    return ec != std::errc{} || number <= 0 || ::kill(number, 0) == 0 || errno != ESRCH;
}

} // namespace

StateDirectory::StateDirectory(const std::filesystem::path& path) : dir_{open_state_dir(path)} {
    lock();
    lay_out();
}

void StateDirectory::lock() {
    lock_ = dir_.open_file(lock_name, O_RDWR | O_CREAT, 0600);
    for (auto left = kOrphanTime; ::flock(lock_.get(), LOCK_EX | LOCK_NB) != 0; left -= kPause) {
        if (errno != EWOULDBLOCK) throw_errno(dir_.path() + "/" + lock_name);
        const auto owner = text::trim(dir_.read(lock_name));
        if (left <= left.zero() || is_alive(owner))
            throw Error{ErrorCode::BadState,
                        fmt::format("{} is in use by another process (pid {})", dir_.path(), owner)};
        std::this_thread::sleep_for(kPause);
    }
    // In place: a new file would be a new lock.
    const auto pid = fmt::format("{}\n", ::getpid());
    if (::ftruncate(lock_.get(), 0) != 0 || ::pwrite(lock_.get(), pid.data(), pid.size(), 0) < 0) {
        throw_errno(dir_.path() + "/" + lock_name);
    }
}

namespace {

/// Not touched when it is right: a part may lie on a filesystem that is read-only.
void give_mode(const Dir& dir, mode_t mode) {
    if ((dir.stat("").st_mode & 07777) != mode && ::fchmod(dir.fd(), mode) != 0) throw_errno(dir.path());
}

} // namespace

void StateDirectory::lay_out() const {
    give_mode(dir_, 0711);
    const bool images = !storage::ServerFolders::linked(dir_, "images").empty();
    const bool backups = !storage::ServerFolders::linked(dir_, "backups").empty();
    for (const auto& place : places) {
        const std::string_view name{place.name};
        if ((images && name == "images") || (backups && name.starts_with("backups"))) continue; // on a volume
        give_mode(dir_.make_dir(place.name, place.mode), place.mode);
    }
    for (const char* folder : {"database", "database/global"}) {
        const Dir database = dir_.dir(folder);
        for (const auto& name : database.list()) {
            if (!S_ISREG(database.stat(name).st_mode)) continue;
            if (::fchmod(database.open_file(name, O_RDONLY).get(), 0600) != 0) throw_errno(database.path());
        }
    }
    if (dir_.exists("server.key") && ::fchmod(dir_.open_file("server.key", O_RDONLY).get(), 0600) != 0)
        throw_errno(dir_.path() + "/server.key");
}

void StateDirectory::require_database_or_no_instances() const {
    if (has_rows(dir_, "database/global/db.bin") && has_rows(dir_, "database/local.db")) return;
    const auto instance = find_instance(dir_);
    if (instance.empty()) return;
    throw Error{
        ErrorCode::Internal,
        fmt::format("{} has instances ({} is one) but no database. Nothing was changed. Put database/local.db and "
                    "database/global/db.bin back from a backup, or allow an empty database "
                    "(lxdcored --allow-empty-database) and recover the instances from the storage pools (lxdcored "
                    "recover)",
                    dir_.path(), instance)};
}

} // namespace lxdcore
