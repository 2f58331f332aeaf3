// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <limits>
#include <vector>

#include "helper/sftp_server.hpp"
#include "helper/watchdog.hpp"

namespace lxdcore::helper {

using sftp::Request;
using sftp::Status;

namespace {

constexpr std::size_t kMaxHandles = 512;
constexpr std::size_t kMaxRead = sftp::kLargestPacket - 64; ///< the reply must fit into a packet too
constexpr int kNamesInReply = 128;
constexpr mode_t kFileMode = 0644;

/// "Nov 28 18:30", or "Nov 14  2023" of another half year. In UTC: libc would look for the guest's time zone.
std::string short_date(std::time_t time) {
    using namespace std::chrono;
    constexpr std::time_t kRecent = 365 * 24 * 3600 / 2;
    constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const auto now = std::time(nullptr);
    const sys_seconds at{seconds{std::clamp<std::time_t>(time, 0, UINT32_MAX)}};
    const auto day = floor<days>(at);
    const year_month_day date{day};
    const hh_mm_ss clock{at - day};
    char text[32];
    const auto month = kMonths[static_cast<unsigned>(date.month()) - 1];
    const auto number = static_cast<unsigned>(date.day());
    if (time > now - kRecent && time <= now + kRecent)
        std::snprintf(text, sizeof text, "%s %2u %02d:%02d", month, number, static_cast<int>(clock.hours().count()),
                      static_cast<int>(clock.minutes().count()));
    else
        std::snprintf(text, sizeof text, "%s %2u  %d", month, number, static_cast<int>(date.year()));
    return text;
}

/// As "ls -l" shows an entry, with numbers for all but root: no name service of anybody is asked.
std::string long_name(const struct stat& info, const sftp::Attributes& shown, const char* name) {
    constexpr char kBits[] = "rwxrwxrwx";
    constexpr std::pair<mode_t, char> kKinds[] = {{S_IFDIR, 'd'}, {S_IFLNK, 'l'}, {S_IFBLK, 'b'},
                                                  {S_IFCHR, 'c'}, {S_IFIFO, 'p'}, {S_IFSOCK, 's'}};
    char mode[11] = "-";
    for (const auto& [kind, letter] : kKinds)
        if ((info.st_mode & S_IFMT) == kind) mode[0] = letter;
    for (int i = 0; i < 9; ++i)
        mode[1 + i] = (info.st_mode & (0400u >> i)) != 0 ? kBits[i] : '-';
    const auto special = [&](mode_t bit, int at, char with, char without) {
        if ((info.st_mode & bit) != 0) mode[at] = mode[at] == 'x' ? with : without;
    };
    special(S_ISUID, 3, 's', 'S');
    special(S_ISGID, 6, 's', 'S');
    special(S_ISVTX, 9, 't', 'T');
    const auto who = [](std::uint32_t id) { return id == 0 ? std::string{"root"} : std::to_string(id); };
    char head[160];
    std::snprintf(head, sizeof head, "%s %4llu %-8s %-8s %8llu %s ", mode,
                  static_cast<unsigned long long>(info.st_nlink), who(shown.owner->first).c_str(),
                  who(shown.owner->second).c_str(), static_cast<unsigned long long>(info.st_size),
                  short_date(info.st_mtime).c_str());
    return std::string{head} + name;
}

} // namespace

SftpServer::Handle& SftpServer::handle(const Request& request) {
    const auto found = handles_.find(request.handle);
    if (found == handles_.end()) throw Failure{"", EBADF};
    return found->second;
}

void SftpServer::keep(const Request& request, UniqueFd fd, std::string path) {
    if (handles_.size() >= kMaxHandles) throw Failure{"open " + path, EMFILE};
    const auto name = std::to_string(++next_handle_);
    auto& made = handles_[name];
    made.fd = std::move(fd);
    made.path = std::move(path);
    out_.handle(request.id, name);
}

/// As LXD's server: who wants neither to read nor to write is refused, appending is writing.
void SftpServer::open(const Request& request) {
    const std::string path{request.path};
    const auto flag = [&](std::uint32_t wanted) { return (request.flags & wanted) != 0; };
    if (!flag(sftp::kOpenRead) && !flag(sftp::kOpenWrite)) throw Failure{"", EINVAL};
    const int mode = !flag(sftp::kOpenWrite) ? O_RDONLY : flag(sftp::kOpenRead) ? O_RDWR : O_WRONLY;
    const bool create = flag(sftp::kOpenCreate);
    struct stat info {};
    UniqueFd fd;
    if (const UniqueFd found = root_.try_open(path, O_PATH)) {
        if (create && flag(sftp::kOpenExclusive)) throw Failure{"open " + path, EEXIST};
        if (::fstat(found.get(), &info) != 0) throw Failure{"open " + path, errno};
        if (S_ISDIR(info.st_mode) && (mode != O_RDONLY || create)) throw Failure{"open " + path, EISDIR};
        if (!S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode)) throw Failure{"open " + path, EINVAL};
        fd = root_.reopen(found.get(), mode | O_NOCTTY | O_NONBLOCK | (flag(sftp::kOpenTruncate) ? O_TRUNC : 0));
        if (!fd) throw Failure{"open " + path, errno};
    } else {
        if (errno != ENOENT || !create) throw Failure{"open " + path, errno};
        // A link that leads nowhere is followed within the root; what appears meanwhile is used only if it is a file.
        fd = root_.try_open(path, mode | O_CREAT | O_NOCTTY | O_NONBLOCK | (flag(sftp::kOpenExclusive) ? O_EXCL : 0),
                            kFileMode);
        if (!fd || ::fstat(fd.get(), &info) != 0) throw Failure{"open " + path, errno};
        if (!S_ISREG(info.st_mode)) throw Failure{"open " + path, EINVAL};
        own(fd.get(), "", AT_EMPTY_PATH, 0, 0, path);
    }
    keep(request, std::move(fd), path);
}

void SftpServer::close(const Request& request) {
    const auto& open = handle(request);
    const auto path = open.path;
    int error = 0;
    auto node = handles_.extract(handles_.find(request.handle));
    // A full disk or quota may be told only now.
    if (!node.mapped().dir && ::close(node.mapped().fd.release()) != 0) error = errno;
    if (error != 0) throw Failure{"close " + path, error};
    ok(request);
}

void SftpServer::read(const Request& request) {
    const auto& open = handle(request);
    if (request.offset > static_cast<std::uint64_t>(std::numeric_limits<off_t>::max()))
        return out_.status(request.id, Status::Failure, "readat " + open.path + ": negative offset");
    const auto wanted = std::min<std::size_t>(request.length, kMaxRead);
    char* const into = out_.reserve_data(request.id, wanted);
    ssize_t n;
    do
        n = ::pread(open.fd.get(), into, wanted, static_cast<off_t>(request.offset));
    while (n < 0 && errno == EINTR);
    const int error = errno;
    if (n > 0 || (n == 0 && wanted == 0)) return out_.commit_data(static_cast<std::size_t>(n));
    out_.drop();
    if (n == 0) return out_.status(request.id, Status::Eof, "EOF");
    throw Failure{"read " + open.path, error};
}

void SftpServer::write(const Request& request) {
    const auto& open = handle(request);
    if (request.offset > static_cast<std::uint64_t>(std::numeric_limits<off_t>::max()))
        return out_.status(request.id, Status::Failure, "writeat " + open.path + ": negative offset");
    auto data = request.data;
    auto offset = static_cast<off_t>(request.offset);
    while (!data.empty()) {
        const ssize_t n = ::pwrite(open.fd.get(), data.data(), data.size(), offset);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) throw Failure{"write " + open.path, errno};
        data.remove_prefix(static_cast<std::size_t>(n));
        offset += n;
    }
    ok(request);
}

void SftpServer::set_handle(const Request& request) {
    const auto& open = handle(request);
    const auto& wanted = request.attributes;
    const int fd = open.fd.get();
    if (wanted.size && (*wanted.size > static_cast<std::uint64_t>(std::numeric_limits<off_t>::max()) ||
                        ::ftruncate(fd, static_cast<off_t>(*wanted.size)) != 0))
        throw Failure{"truncate " + open.path, *wanted.size >> 63 != 0 ? EINVAL : errno};
    if (wanted.mode && ::fchmod(fd, *wanted.mode & 0777) != 0) throw Failure{"chmod " + open.path, errno};
    if (wanted.owner) own(fd, "", AT_EMPTY_PATH, wanted.owner->first, wanted.owner->second, open.path);
    if (wanted.times) {
        const timespec times[2] = {{wanted.times->first, 0}, {wanted.times->second, 0}};
        if (::futimens(fd, times) != 0) throw Failure{"chtimes " + open.path, errno};
    }
    ok(request);
}

void SftpServer::open_directory(const Request& request) {
    const std::string path{request.path};
    const auto found = open_path("stat ", path, O_PATH);
    struct stat info {};
    if (::fstat(found.get(), &info) != 0) throw Failure{"stat " + path, errno};
    if (!S_ISDIR(info.st_mode)) throw Failure{" " + path, ENOTDIR};
    UniqueFd fd = root_.reopen(found.get(), O_RDONLY | O_DIRECTORY);
    if (!fd) throw Failure{"open " + path, errno};
    keep(request, std::move(fd), path);
}

void SftpServer::read_directory(const Request& request) {
    auto& open = handle(request);
    if (!open.dir) {
        UniqueFd copy{::fcntl(open.fd.get(), F_DUPFD_CLOEXEC, 3)};
        open.dir.reset(copy ? ::fdopendir(copy.get()) : nullptr);
        if (!open.dir) throw Failure{"readdirent " + open.path, errno};
        copy.release(); // the stream's now
    }
    struct Entry {
        std::string name;
        struct stat info;
    };
    std::vector<Entry> entries;
    errno = 0;
    while (entries.size() < kNamesInReply) {
        const dirent* const item = ::readdir(open.dir.get());
        if (item == nullptr) break;
        const std::string_view name{item->d_name};
        if (name == "." || name == "..") continue;
        dog_.beat();
        Entry entry{std::string{name}, {}};
        if (::fstatat(open.fd.get(), item->d_name, &entry.info, AT_SYMLINK_NOFOLLOW) == 0)
            entries.push_back(std::move(entry)); // what has gone meanwhile is left out
        errno = 0;
    }
    if (entries.empty() && errno != 0) throw Failure{"readdirent " + open.path, errno};
    if (entries.empty()) return out_.status(request.id, Status::Eof, "EOF");
    out_.begin(sftp::Type::Name, request.id);
    out_.number(static_cast<std::uint32_t>(entries.size()));
    for (const auto& entry : entries) {
        const auto attributes = attributes_of(entry.info);
        out_.text(entry.name);
        out_.text(long_name(entry.info, attributes, entry.name.c_str()));
        out_.fields(attributes);
    }
    out_.end();
}

} // namespace lxdcore::helper
