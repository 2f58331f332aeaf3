// SPDX-License-Identifier: Apache-2.0
#include "storage/file_copy.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <climits>
#include <condition_variable>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <lxdcore/error.hpp>

namespace lxdcore::storage {

namespace {

constexpr std::size_t kChunk = 64u << 20; ///< bytes between two looks at the stop token
constexpr std::size_t kParallelFrom = 24; ///< waiting directories that are worth another thread

class Copier {
public:
    Copier(const Dir& from, const Dir& to, const CopyOptions& options) : from_{from}, to_{to}, options_{options} {}

    void run() {
        waiting_.emplace_back();
        worker();
        for (auto& thread : threads_)
            thread.join();
        if (failure_) std::rethrow_exception(failure_);
    }
    void entry(const UniqueFd& source, const UniqueFd& target, const std::string& parent, const std::string& name) {
        struct stat status {};
        if (::fstatat(source.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
            if (errno == ENOENT) return; // gone meanwhile
            fail(parent, name);
        }
        if (S_ISDIR(status.st_mode)) {
            if (::mkdirat(target.get(), name.c_str(), 0700) != 0) fail(parent, name);
            push(join(parent, name));
            return;
        }
        if (status.st_nlink > 1 && link_known(status, target, parent, name)) return;
        if (S_ISREG(status.st_mode)) {
            if (!keep_older(source, target, parent, name, status)) file(source, target, parent, name);
        } else if (S_ISLNK(status.st_mode)) {
            symlink(source, target, parent, name, status);
        } else {
            special(target, parent, name, status);
        }
        if (status.st_nlink > 1) publish(status, parent, name);
    }

private:
    struct Node {
        bool done = false;
        std::string path;
    };

    static std::string join(const std::string& parent, const std::string& name) {
        return parent.empty() ? name : parent + "/" + name;
    }
    [[noreturn]] void fail(const std::string& parent, const std::string& name) const {
        throw_errno("copy " + from_.path() + "/" + join(parent, name));
    }
    void check_stop() const {
        if (options_.stop.stop_requested() || stopping_) throw Error{ErrorCode::Cancelled, "Operation cancelled"};
    }

    void push(std::string path) {
        const std::lock_guard lock{mutex_};
        waiting_.push_back(std::move(path));
        const auto limit = options_.threads ? options_.threads : std::min(4u, std::thread::hardware_concurrency());
        if (!failure_ && waiting_.size() >= kParallelFrom * (threads_.size() + 1) && threads_.size() + 1 < limit)
            threads_.emplace_back([this] { worker(); });
        wake_.notify_one();
    }

    void worker() {
        std::unique_lock lock{mutex_};
        for (;;) {
            wake_.wait(lock, [&] { return failure_ || !waiting_.empty() || busy_ == 0; });
            if (failure_ || waiting_.empty()) break;
            auto path = std::move(waiting_.back());
            waiting_.pop_back();
            ++busy_;
            lock.unlock();
            std::exception_ptr failure;
            try {
                directory(path);
            } catch (...) {
                failure = std::current_exception();
            }
            lock.lock();
            --busy_;
            if (failure && !failure_) failure_ = failure;
            if (failure) stopping_ = true;
            if (busy_ == 0 || failure_) wake_.notify_all();
        }
        wake_.notify_all();
        linked_.notify_all();
    }

    /// Opened from the top each time: the number of open descriptors does not grow with the tree.
    void directory(const std::string& path) {
        check_stop();
        const UniqueFd source = from_.open_file(path, O_RDONLY | O_DIRECTORY | O_NOATIME);
        const UniqueFd target = to_.open_file(path, O_RDONLY | O_DIRECTORY);
        UniqueFd listing{::fcntl(source.get(), F_DUPFD_CLOEXEC, 3)};
        DIR* stream = listing ? ::fdopendir(listing.get()) : nullptr;
        if (!stream) fail(path, ".");
        listing.release();
        const std::unique_ptr<DIR, int (*)(DIR*)> closer{stream, ::closedir};
        for (;;) {
            errno = 0;
            const dirent* item = ::readdir(stream);
            if (!item && errno != 0) fail(path, ".");
            if (!item) break;
            const std::string name{item->d_name};
            if (name == "." || name == "..") continue;
            entry(source, target, path, name);
        }
        struct stat status {};
        if (::fstat(source.get(), &status) != 0) fail(path, ".");
        attributes(source.get(), target.get(), status, path, ".");
    }

    static bool is_before(const timespec& a, const timespec& b) {
        return a.tv_sec < b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec < b.tv_nsec);
    }

    /// True when the older copy has the file already and the new one has been given it. What was changed after it was
    /// copied, or so soon that the clock does not tell, is another file whatever its times say.
    bool keep_older(const UniqueFd& source, const UniqueFd& target, const std::string& parent, const std::string& name,
                    const struct stat& status) {
        if (options_.older == nullptr || status.st_nlink > 1) return false;
        UniqueFd folder, old;
        try {
            folder = options_.older->open_file(parent, O_PATH | O_DIRECTORY);
            old = options_.older->open_file(join(parent, name), O_RDONLY | O_NOATIME | O_NONBLOCK);
        } catch (const Error&) {
            return false;
        }
        struct stat was {};
        if (::fstat(old.get(), &was) != 0 || !S_ISREG(was.st_mode) || was.st_nlink > 1 ||
            was.st_size != status.st_size || was.st_mode != status.st_mode || was.st_uid != status.st_uid ||
            was.st_gid != status.st_gid || !is_before(status.st_ctim, was.st_ctim) ||
            was.st_mtim.tv_sec != status.st_mtim.tv_sec || was.st_mtim.tv_nsec != status.st_mtim.tv_nsec)
            return false;
        const UniqueFd in{::openat(source.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)};
        const auto now = in ? attributes_of(in.get()) : std::nullopt;
        if (!now || now != attributes_of(old.get())) return false;
        return ::linkat(folder.get(), name.c_str(), target.get(), name.c_str(), 0) == 0;
    }

    /// Nothing when they cannot be read.
    static std::optional<std::map<std::string, std::string>> attributes_of(int fd) {
        std::vector<char> names(XATTR_LIST_MAX), value(XATTR_SIZE_MAX);
        const ssize_t size = ::flistxattr(fd, names.data(), names.size());
        std::map<std::string, std::string> out;
        if (size < 0) return errno == EOPNOTSUPP ? std::optional{out} : std::nullopt;
        for (const char* key = names.data(); key < names.data() + size;
             key += std::char_traits<char>::length(key) + 1) {
            const ssize_t n = ::fgetxattr(fd, key, value.data(), value.size());
            if (n < 0) return std::nullopt;
            out[key] = std::string(value.data(), static_cast<std::size_t>(n));
        }
        return out;
    }

    void file(const UniqueFd& source, const UniqueFd& target, const std::string& parent, const std::string& name) {
        const UniqueFd in{::openat(source.get(), name.c_str(),
                                   O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_NOATIME | O_CLOEXEC)};
        if (!in) fail(parent, name);
        struct stat status {};
        if (::fstat(in.get(), &status) != 0) fail(parent, name);
        if (!S_ISREG(status.st_mode)) {
            errno = EAGAIN; // it became something else after it was listed
            fail(parent, name);
        }
        const UniqueFd out{
            ::openat(target.get(), name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600)};
        if (!out) fail(parent, name);
        data(in.get(), out.get(), status, parent, name);
        attributes(in.get(), out.get(), status, parent, name);
    }

    void data(int in, int out, const struct stat& status, const std::string& parent, const std::string& name) {
        if (status.st_size == 0) return;
        if (reflink_) {
            if (::ioctl(out, FICLONE, in) == 0) return;
            if (errno != EOPNOTSUPP && errno != EXDEV && errno != EINVAL && errno != ENOTTY && errno != ENOSYS)
                fail(parent, name);
            reflink_ = false;
        }
        const bool holes = status.st_blocks * 512 < status.st_size;
        off_t at = 0;
        while (at < status.st_size) {
            off_t end = status.st_size;
            if (holes) {
                const off_t start = ::lseek(in, at, SEEK_DATA);
                if (start < 0 && errno == ENXIO) break;
                if (start >= 0) {
                    at = start;
                    const off_t hole = ::lseek(in, at, SEEK_HOLE);
                    if (hole > at) end = std::min(hole, end);
                }
            }
            if (!range(in, out, at, end, parent, name)) break;
        }
        if (holes && ::ftruncate(out, status.st_size) != 0) fail(parent, name);
    }

    /// Advances @p at; false at the end of the source.
    bool range(int in, int out, off_t& at, off_t end, const std::string& parent, const std::string& name) {
        while (at < end) {
            check_stop();
            const auto want = std::min<std::size_t>(static_cast<std::size_t>(end - at), kChunk);
            off_t to = at;
            ssize_t n = kernel_copy_ ? ::copy_file_range(in, &at, out, &to, want, 0) : -1;
            if (n < 0 &&
                (!kernel_copy_ || errno == EXDEV || errno == EINVAL || errno == EOPNOTSUPP || errno == ENOSYS)) {
                kernel_copy_ = false;
                n = plain_copy(in, out, at);
            }
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) fail(parent, name);
            if (n == 0) return false;
            if (options_.copied != nullptr) *options_.copied += n;
        }
        return true;
    }

    static ssize_t plain_copy(int in, int out, off_t& at) {
        std::array<char, 65536> block;
        const ssize_t got = ::pread(in, block.data(), block.size(), at);
        if (got <= 0) return got;
        for (ssize_t done = 0; done < got;) {
            const ssize_t n = ::pwrite(out, block.data() + done, static_cast<std::size_t>(got - done), at + done);
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) return -1;
            done += n;
        }
        at += got;
        return got;
    }

    void symlink(const UniqueFd& source, const UniqueFd& target, const std::string& parent, const std::string& name,
                 const struct stat& status) {
        std::array<char, PATH_MAX> text;
        const ssize_t n = ::readlinkat(source.get(), name.c_str(), text.data(), text.size() - 1);
        if (n < 0) fail(parent, name);
        text[static_cast<std::size_t>(n)] = '\0';
        if (::symlinkat(text.data(), target.get(), name.c_str()) != 0) fail(parent, name);
        by_name(target, parent, name, status);
    }

    void special(const UniqueFd& target, const std::string& parent, const std::string& name,
                 const struct stat& status) {
        const bool device = S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode);
        if (device && !options_.devices) return;
        if (::mknodat(target.get(), name.c_str(), status.st_mode, status.st_rdev) != 0) fail(parent, name);
        by_name(target, parent, name, status);
        // The target tree is ours alone, so the name is still the node made above.
        if (::fchmodat(target.get(), name.c_str(), status.st_mode & 07777, 0) != 0) fail(parent, name);
    }

    void by_name(const UniqueFd& target, const std::string& parent, const std::string& name,
                 const struct stat& status) {
        if ((status.st_uid != 0 || status.st_gid != 0) &&
            ::fchownat(target.get(), name.c_str(), status.st_uid, status.st_gid, AT_SYMLINK_NOFOLLOW) != 0)
            fail(parent, name);
        const timespec times[2] = {status.st_atim, status.st_mtim};
        if (::utimensat(target.get(), name.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0) fail(parent, name);
    }

    /// Owner first: changing it clears the setuid bit and file capabilities.
    void attributes(int in, int out, const struct stat& status, const std::string& parent, const std::string& name) {
        if ((status.st_uid != ::geteuid() || status.st_gid != ::getegid()) &&
            ::fchown(out, status.st_uid, status.st_gid) != 0)
            fail(parent, name);
        if (::fchmod(out, status.st_mode & 07777) != 0) fail(parent, name);
        xattrs(in, out, parent, name);
        const timespec times[2] = {status.st_atim, status.st_mtim};
        if (::futimens(out, times) != 0) fail(parent, name);
    }

    void xattrs(int in, int out, const std::string& parent, const std::string& name) {
        std::array<char, 4096> names;
        std::vector<char> more;
        char* list = names.data();
        ssize_t size = ::flistxattr(in, names.data(), names.size());
        if (size < 0 && errno == ERANGE) {
            more.resize(XATTR_LIST_MAX);
            list = more.data();
            size = ::flistxattr(in, list, more.size());
        }
        if (size <= 0) {
            if (size == 0 || errno == EOPNOTSUPP) return;
            fail(parent, name);
        }
        std::vector<char> value(XATTR_SIZE_MAX);
        for (const char* key = list; key < list + size; key += std::char_traits<char>::length(key) + 1) {
            const ssize_t n = ::fgetxattr(in, key, value.data(), value.size());
            if (n < 0 && errno == ENODATA) continue;
            if (n < 0) fail(parent, name);
            if (::fsetxattr(out, key, value.data(), static_cast<std::size_t>(n), 0) != 0 && errno != EOPNOTSUPP &&
                errno != EPERM)
                fail(parent, name);
        }
    }

    /// True when another name of the inode is in the copy already and was linked. The first to come makes the file;
    /// others wait for it.
    bool link_known(const struct stat& status, const UniqueFd& target, const std::string& parent,
                    const std::string& name) {
        std::string first;
        {
            std::unique_lock lock{mutex_};
            const auto [it, is_first] = nodes_.try_emplace({status.st_dev, status.st_ino});
            if (is_first) return false;
            linked_.wait(lock, [&, node = &it->second] { return node->done || stopping_; });
            if (!it->second.done) throw Error{ErrorCode::Cancelled, "Operation cancelled"};
            first = it->second.path;
        }
        const auto slash = first.rfind('/');
        const auto folder = slash == std::string::npos ? "" : first.substr(0, slash);
        const auto leaf = slash == std::string::npos ? first : first.substr(slash + 1);
        UniqueFd other; // mostly all names of an inode are in one directory
        if (folder != parent) other = to_.open_file(folder, O_PATH | O_DIRECTORY);
        if (::linkat(other ? other.get() : target.get(), leaf.c_str(), target.get(), name.c_str(), 0) == 0) return true;
        if (errno != EMLINK) fail(parent, name);
        return false; // the filesystem allows no more links: a file of its own
    }
    void publish(const struct stat& status, const std::string& parent, const std::string& name) {
        const std::lock_guard lock{mutex_};
        nodes_[{status.st_dev, status.st_ino}] = {true, join(parent, name)};
        linked_.notify_all();
    }

    const Dir& from_;
    const Dir& to_;
    const CopyOptions& options_;
    std::mutex mutex_;
    std::condition_variable wake_, linked_;
    std::vector<std::string> waiting_;
    std::vector<std::thread> threads_;
    unsigned busy_ = 0;
    std::exception_ptr failure_;
    std::map<std::pair<dev_t, ino_t>, Node> nodes_;
    std::atomic<bool> stopping_{false}, reflink_{true}, kernel_copy_{true};
};

} // namespace

void copy_tree(const Dir& from, const Dir& to, const CopyOptions& options) { Copier{from, to, options}.run(); }

void copy_entry(const Dir& from, const Dir& to, const std::string& name, const CopyOptions& options) {
    if (S_ISDIR(from.stat(name).st_mode)) {
        copy_tree(from.dir(name), to.make_dir(name), options);
        return;
    }
    const auto source = from.open_file("", O_RDONLY | O_DIRECTORY);
    const auto target = to.open_file("", O_RDONLY | O_DIRECTORY);
    Copier{from, to, options}.entry(source, target, "", name);
}

} // namespace lxdcore::storage
