// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace lxdcore::helper {

/// SFTP version 3 (draft-ietf-secsh-filexfer-02) and the extensions of OpenSSH: bytes to requests and results to bytes,
/// nothing else. Reentrant.
namespace sftp {

constexpr std::size_t kLargestPacket = 256u << 10; ///< after its length
constexpr std::size_t kLengthBytes = 4;
constexpr std::uint32_t kVersion = 3;

enum class Type : std::uint8_t {
    Init = 1,
    Version,
    Open,
    Close,
    Read,
    Write,
    Lstat,
    Fstat,
    Setstat,
    Fsetstat,
    Opendir,
    Readdir,
    Remove,
    Mkdir,
    Rmdir,
    Realpath,
    Stat,
    Rename,
    Readlink,
    Symlink,
    Status = 101,
    Handle,
    Data,
    Name,
    Attributes,
    Extended = 200,
    ExtendedReply
};

enum class Status : std::uint32_t {
    Ok,
    Eof,
    NoSuchFile,
    PermissionDenied,
    Failure,
    BadMessage,
    NoConnection,
    ConnectionLost,
    Unsupported
};

constexpr std::uint32_t kOpenRead = 1, kOpenWrite = 2, kOpenCreate = 8, kOpenTruncate = 16, kOpenExclusive = 32;

/// A packet that is not what its type says: its sender cannot be understood any further.
struct Malformed : std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct Attributes {
    std::optional<std::uint64_t> size;
    std::optional<std::pair<std::uint32_t, std::uint32_t>> owner; ///< uid, gid
    std::optional<std::uint32_t> mode;
    std::optional<std::pair<std::uint32_t, std::uint32_t>> times; ///< of access and change, Unix seconds
};

/// One request. Which fields hold something follows from its type; texts point into the packet.
struct Request {
    Type type{};
    std::uint32_t id = 0;          ///< of Init: the version
    std::string_view path, second; ///< Rename and hardlink: old, new; Symlink: target, link
    std::string_view handle, data;
    std::string_view extension; ///< its name
    std::uint64_t offset = 0;
    std::uint32_t length = 0, flags = 0;
    Attributes attributes;
};

/// The length of the packet (without the length itself) at the start of @p bytes, unset while too few are there.
/// @throws Malformed for an empty one and for one of more than kLargestPacket bytes
std::optional<std::size_t> packet_length(std::string_view bytes);
/// @p packet: type and body. @throws Malformed. What is behind the last field is ignored, an unknown type has only an
/// id.
Request parse_request(std::string_view packet);

/// Replies, one after the other, in one buffer.
class Writer {
public:
    void version();
    void status(std::uint32_t id, Status code, std::string_view text = {});
    void handle(std::uint32_t id, std::string_view handle);
    void attributes(std::uint32_t id, const Attributes& attributes);
    void name(std::uint32_t id, std::string_view name); ///< one, without attributes
    /// A reply put together by the caller: begin, fields, end.
    void begin(Type type, std::uint32_t id);
    void number(std::uint32_t value);
    void number64(std::uint64_t value);
    void text(std::string_view value);
    void fields(const Attributes& attributes);
    void end();
    /// Room for @p size bytes of a Data reply; commit_data() says how many of them there are.
    char* reserve_data(std::uint32_t id, std::size_t size);
    void commit_data(std::size_t size);
    void drop(); ///< the reply that was begun

    std::string& bytes() noexcept { return bytes_; }

private:
    std::string bytes_;
    std::size_t start_ = 0; ///< of the reply that was begun
};

} // namespace sftp

} // namespace lxdcore::helper
