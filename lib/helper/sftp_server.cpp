// SPDX-License-Identifier: Apache-2.0
#include "helper/sftp_server.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "helper/watchdog.hpp"

namespace lxdcore::helper {

using sftp::Request;
using sftp::Status;
using sftp::Type;

namespace {

constexpr std::size_t kFlushAt = 256u << 10; ///< of replies that wait while more requests are there

/// What was received and not yet answered; a whole packet fits.
class Input {
public:
    /// The next packet; empty when more must be received. @throws sftp::Malformed
    std::string_view packet() {
        const std::string_view held{bytes_.get() + begin_, end_ - begin_};
        const auto length = sftp::packet_length(held);
        if (!length || held.size() < sftp::kLengthBytes + *length) return {};
        begin_ += sftp::kLengthBytes + *length;
        return held.substr(sftp::kLengthBytes, *length);
    }
    /// False at the end.
    bool receive(int socket) {
        if (begin_ == end_) begin_ = end_ = 0;
        if (begin_ > kSize - sftp::kLargestPacket - sftp::kLengthBytes) {
            std::memmove(bytes_.get(), bytes_.get() + begin_, end_ - begin_);
            end_ -= begin_;
            begin_ = 0;
        }
        for (;;) {
            const ssize_t n = ::read(socket, bytes_.get() + end_, kSize - end_);
            if (n < 0 && errno == EINTR) continue;
            if (n <= 0) return false;
            end_ += static_cast<std::size_t>(n);
            return true;
        }
    }

private:
    static constexpr std::size_t kSize = 2 * sftp::kLargestPacket;
    std::unique_ptr<char[]> bytes_ = std::make_unique<char[]>(kSize);
    std::size_t begin_ = 0, end_ = 0;
};

bool send_all(int socket, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t n = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
}

Status code_of(int error) {
    if (error == ENOENT) return Status::NoSuchFile;
    return error == EACCES || error == EPERM ? Status::PermissionDenied : Status::Failure;
}

/// The shortest path that means the same, by its text alone.
std::string cleaned(std::string_view path) {
    std::string out;
    for (std::size_t at = 0; at <= path.size();) {
        const auto end = std::min(path.find('/', at), path.size());
        const auto part = path.substr(at, end - at);
        at = end + 1;
        if (part == "..") {
            out.erase(out.empty() ? 0 : out.rfind('/'));
        } else if (!part.empty() && part != ".") {
            out.append("/").append(part);
        }
    }
    return out.empty() ? "/" : out;
}

} // namespace

void SftpServer::run(int socket) {
    Input input;
    try {
        for (;;) {
            while (out_.bytes().size() < kFlushAt) {
                const auto packet = input.packet();
                if (packet.empty()) break;
                dog_.beat();
                answer(sftp::parse_request(packet));
            }
            dog_.pause();
            const bool more = out_.bytes().size() >= kFlushAt;
            if (!send_all(socket, out_.bytes())) return;
            out_.bytes().clear();
            if (!more && !input.receive(socket)) return;
        }
    } catch (const sftp::Malformed&) { // as LXD: the end, after the answers to what was understood
        send_all(socket, out_.bytes());
    }
}

void SftpServer::answer(const Request& request) {
    for (const auto text : {request.path, request.second})
        if (text.find('\0') != std::string_view::npos) return refuse(request.id, {std::string{text}, EINVAL});
    try {
        dispatch(request);
    } catch (const Failure& failure) {
        refuse(request.id, failure);
    } catch (const std::bad_alloc&) {
        refuse(request.id, {"", ENOMEM});
    }
}

void SftpServer::refuse(std::uint32_t id, const Failure& failure) {
    const auto reason = reason_of(failure.error);
    out_.status(id, code_of(failure.error), failure.step.empty() ? reason : failure.step + ": " + reason);
}

void SftpServer::dispatch(const Request& request) {
    switch (request.type) {
    case Type::Init:
        return out_.version();
    case Type::Open:
        return open(request);
    case Type::Close:
        return close(request);
    case Type::Read:
        return read(request);
    case Type::Write:
        return write(request);
    case Type::Lstat:
        return stat(request, "lstat ", O_NOFOLLOW);
    case Type::Stat:
        return stat(request, "stat ", 0);
    case Type::Fstat: {
        struct stat info {};
        const auto& open = handle(request);
        if (::fstat(open.fd.get(), &info) != 0) throw Failure{"stat " + open.path, errno};
        return out_.attributes(request.id, attributes_of(info));
    }
    case Type::Setstat:
        return set_path(request);
    case Type::Fsetstat:
        return set_handle(request);
    case Type::Opendir:
        return open_directory(request);
    case Type::Readdir:
        return read_directory(request);
    case Type::Remove:
    case Type::Rmdir:
        return remove(request);
    case Type::Mkdir:
        return make_directory(request);
    case Type::Realpath:
        return out_.name(request.id, cleaned(request.path));
    case Type::Rename:
        return rename(request);
    case Type::Readlink:
        return read_link(request);
    case Type::Symlink:
        return make_symlink(request);
    case Type::Extended:
        return extended(request);
    default:
        return out_.status(request.id, Status::Unsupported, "operation unsupported");
    }
}

void SftpServer::extended(const Request& request) {
    if (request.extension == "posix-rename@openssh.com") return rename(request);
    if (request.extension == "hardlink@openssh.com") return make_hardlink(request);
    if (request.extension == "statvfs@openssh.com") return filesystem(request);
    if (request.extension == "fsync@openssh.com") { // not announced, as by LXD, but cheap to honour
        const auto& open = handle(request);
        if (::fsync(open.fd.get()) != 0) throw Failure{"sync " + open.path, errno};
        return ok(request);
    }
    out_.status(request.id, Status::Unsupported, "operation unsupported");
}

} // namespace lxdcore::helper
