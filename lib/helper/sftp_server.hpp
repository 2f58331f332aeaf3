// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <dirent.h>

#include <map>
#include <memory>
#include <new>
#include <string>

#include "helper/guest_root.hpp"
#include "helper/id_table.hpp"
#include "helper/sftp_packet.hpp"

namespace lxdcore::helper {

class Watchdog;

/// One SFTP session on the files of one instance, with the answers of LXD's server: texts of errors are Go's, rename
/// replaces, modes of new files are 0644 and 0755 and root's. Only regular files and directories are ever opened:
/// this process is not in the guest's device cgroup. Thread-bound.
class SftpServer {
public:
    SftpServer(const GuestRoot& root, const IdTable& ids, Watchdog& dog) : root_{root}, ids_{ids}, dog_{dog} {}
    SftpServer(const SftpServer&) = delete;
    SftpServer& operator=(const SftpServer&) = delete;
    /// Serves @p socket until the other side ends or says something that is no SFTP.
    void run(int socket);

private:
    struct Handle {
        UniqueFd fd;
        std::string path;
        std::unique_ptr<DIR, int (*)(DIR*)> dir{nullptr, ::closedir}; ///< once it was listed
    };
    /// A failed step: becomes the request's status.
    struct Failure {
        std::string step; ///< "open /etc/x"
        int error;
    };

    void answer(const sftp::Request& request);
    void dispatch(const sftp::Request& request);
    void extended(const sftp::Request& request);
    void refuse(std::uint32_t id, const Failure& failure);
    void ok(const sftp::Request& request) { out_.status(request.id, sftp::Status::Ok); }

    // handles
    Handle& handle(const sftp::Request& request);
    void keep(const sftp::Request& request, UniqueFd fd, std::string path);
    void open(const sftp::Request& request);
    void close(const sftp::Request& request);
    void read(const sftp::Request& request);
    void write(const sftp::Request& request);
    void set_handle(const sftp::Request& request);
    void open_directory(const sftp::Request& request);
    void read_directory(const sftp::Request& request);

    // paths
    void stat(const sftp::Request& request, const char* step, int flags);
    void set_path(const sftp::Request& request);
    void remove(const sftp::Request& request);
    void make_directory(const sftp::Request& request);
    void rename(const sftp::Request& request);
    void read_link(const sftp::Request& request);
    void make_symlink(const sftp::Request& request);
    void make_hardlink(const sftp::Request& request);
    void filesystem(const sftp::Request& request);

    UniqueFd open_path(const char* step, const std::string& path, int flags) const;
    GuestRoot::Entry entry(const std::string& step, const std::string& path) const;
    sftp::Attributes attributes_of(const struct stat& info) const;
    void own(int dir, const char* name, int flags, std::int64_t uid, std::int64_t gid, const std::string& path) const;

    const GuestRoot& root_;
    const IdTable& ids_;
    Watchdog& dog_;
    sftp::Writer out_;
    std::map<std::string, Handle, std::less<>> handles_;
    std::uint64_t next_handle_ = 0;
};

} // namespace lxdcore::helper
