// SPDX-License-Identifier: Apache-2.0
#include "helper/sftp_packet.hpp"

#include <endian.h>

#include <cstring>

namespace lxdcore::helper::sftp {

namespace {

constexpr std::uint32_t kSize = 1, kOwner = 2, kMode = 4, kTimes = 8, kExtended = 0x80000000;
constexpr std::size_t kDataHead = kLengthBytes + 1 + 4 + 4; ///< of a Data reply: length, type, id, length of the data

class Reader {
public:
    explicit Reader(std::string_view bytes) : bytes_{bytes} {}
    std::uint8_t byte() { return static_cast<std::uint8_t>(take(1)[0]); }
    std::uint32_t number() {
        std::uint32_t value = 0;
        std::memcpy(&value, take(sizeof value).data(), sizeof value);
        return be32toh(value);
    }
    std::uint64_t number64() {
        std::uint64_t value = 0;
        std::memcpy(&value, take(sizeof value).data(), sizeof value);
        return be64toh(value);
    }
    std::string_view text() { return take(number()); }
    Attributes attributes();

private:
    std::string_view take(std::size_t size) {
        if (size > bytes_.size()) throw Malformed{"packet is too short"};
        const auto taken = bytes_.substr(0, size);
        bytes_.remove_prefix(size);
        return taken;
    }
    std::string_view bytes_;
};

Attributes Reader::attributes() {
    Attributes out;
    const auto flags = number();
    if ((flags & kSize) != 0) out.size = number64();
    const auto pair = [&] {
        const auto first = number();
        return std::pair{first, number()};
    };
    if ((flags & kOwner) != 0) out.owner = pair();
    if ((flags & kMode) != 0) out.mode = number();
    if ((flags & kTimes) != 0) out.times = pair();
    if ((flags & kExtended) != 0)
        for (auto left = number(); left > 0; --left) // each takes eight bytes at least: the packet bounds them
            text(), text();
    return out;
}

void parse_extended(Reader& reader, Request& request) {
    request.extension = reader.text();
    if (request.extension == "fsync@openssh.com") {
        request.handle = reader.text();
    } else if (request.extension == "statvfs@openssh.com") {
        request.path = reader.text();
    } else if (request.extension == "posix-rename@openssh.com" || request.extension == "hardlink@openssh.com") {
        request.path = reader.text();
        request.second = reader.text();
    }
}

void parse_handle_request(Reader& reader, Request& request) {
    request.handle = reader.text();
    if (request.type == Type::Fsetstat) request.attributes = reader.attributes();
    if (request.type != Type::Read && request.type != Type::Write) return;
    request.offset = reader.number64();
    if (request.type == Type::Read)
        request.length = reader.number();
    else
        request.data = reader.text();
}

void parse_path_request(Reader& reader, Request& request) {
    request.path = reader.text();
    if (request.type == Type::Open) request.flags = reader.number();
    if (request.type == Type::Rename || request.type == Type::Symlink) request.second = reader.text();
    if (request.type == Type::Open || request.type == Type::Setstat || request.type == Type::Mkdir)
        request.attributes = reader.attributes();
}

} // namespace

std::optional<std::size_t> packet_length(std::string_view bytes) {
    if (bytes.size() < kLengthBytes) return std::nullopt;
    const std::size_t length = Reader{bytes}.number();
    if (length == 0 || length > kLargestPacket) throw Malformed{"bad length of a packet"};
    return length;
}

Request parse_request(std::string_view packet) {
    Reader reader{packet};
    Request request;
    request.type = static_cast<Type>(reader.byte());
    request.id = reader.number();
    switch (request.type) {
    case Type::Close:
    case Type::Read:
    case Type::Write:
    case Type::Fstat:
    case Type::Fsetstat:
    case Type::Readdir:
        parse_handle_request(reader, request);
        break;
    case Type::Open:
    case Type::Lstat:
    case Type::Setstat:
    case Type::Opendir:
    case Type::Remove:
    case Type::Mkdir:
    case Type::Rmdir:
    case Type::Realpath:
    case Type::Stat:
    case Type::Rename:
    case Type::Readlink:
    case Type::Symlink:
        parse_path_request(reader, request);
        break;
    case Type::Extended:
        parse_extended(reader, request);
        break;
    default: // Init has nothing more that is of use
        break;
    }
    return request;
}

void Writer::begin(Type type, std::uint32_t id) {
    start_ = bytes_.size();
    bytes_.append(kLengthBytes, '\0');
    bytes_.push_back(static_cast<char>(type));
    number(id);
}

void Writer::number(std::uint32_t value) {
    value = htobe32(value);
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void Writer::number64(std::uint64_t value) {
    value = htobe64(value);
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void Writer::text(std::string_view value) {
    number(static_cast<std::uint32_t>(value.size()));
    bytes_.append(value);
}

void Writer::fields(const Attributes& attributes) {
    number((attributes.size ? kSize : 0) | (attributes.owner ? kOwner : 0) | (attributes.mode ? kMode : 0) |
           (attributes.times ? kTimes : 0));
    if (attributes.size) number64(*attributes.size);
    if (attributes.owner) {
        number(attributes.owner->first);
        number(attributes.owner->second);
    }
    if (attributes.mode) number(*attributes.mode);
    if (attributes.times) {
        number(attributes.times->first);
        number(attributes.times->second);
    }
}

void Writer::end() {
    const auto length = htobe32(static_cast<std::uint32_t>(bytes_.size() - start_ - kLengthBytes));
    std::memcpy(bytes_.data() + start_, &length, sizeof length);
}

void Writer::drop() { bytes_.resize(start_); }

void Writer::version() {
    begin(Type::Version, kVersion);
    for (const auto& [name, version] :
         {std::pair{"hardlink@openssh.com", "1"}, std::pair{"posix-rename@openssh.com", "1"},
          std::pair{"statvfs@openssh.com", "2"}}) {
        text(name);
        text(version);
    }
    end();
}

void Writer::status(std::uint32_t id, Status code, std::string_view words) {
    begin(Type::Status, id);
    number(static_cast<std::uint32_t>(code));
    text(words);
    text({}); // language
    end();
}

void Writer::handle(std::uint32_t id, std::string_view value) {
    begin(Type::Handle, id);
    text(value);
    end();
}

void Writer::attributes(std::uint32_t id, const Attributes& value) {
    begin(Type::Attributes, id);
    fields(value);
    end();
}

void Writer::name(std::uint32_t id, std::string_view value) {
    begin(Type::Name, id);
    number(1);
    text(value);
    text(value);
    fields({});
    end();
}

char* Writer::reserve_data(std::uint32_t id, std::size_t size) {
    begin(Type::Data, id);
    bytes_.resize(start_ + kDataHead + size);
    return bytes_.data() + start_ + kDataHead;
}

void Writer::commit_data(std::size_t size) {
    bytes_.resize(start_ + kDataHead + size);
    const auto length = htobe32(static_cast<std::uint32_t>(size));
    std::memcpy(bytes_.data() + start_ + kDataHead - sizeof length, &length, sizeof length);
    end();
}

} // namespace lxdcore::helper::sftp
