// SPDX-License-Identifier: Apache-2.0
// The part of text.hpp that needs OpenSSL or the kernel's random numbers.
#include "util/text.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include <fmt/format.h>

#include <lxdcore/error.hpp>

namespace lxdcore::text {

namespace {

constexpr std::string_view base64_digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void fill_random(unsigned char* data, std::size_t size) {
    while (size > 0) {
        const auto got = ::getrandom(data, size, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) throw_errno("getrandom");
        data += got;
        size -= static_cast<std::size_t>(got);
    }
}

std::string to_hex(const unsigned char* data, std::size_t size) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string out;
    out.reserve(size * 2);
    for (std::size_t i = 0; i < size; ++i) {
        out += digits[data[i] >> 4];
        out += digits[data[i] & 15];
    }
    return out;
}

} // namespace

std::string uuid4() {
    std::array<unsigned char, 16> bytes;
    fill_random(bytes.data(), bytes.size());
    bytes[6] = static_cast<unsigned char>((bytes[6] & 0x0f) | 0x40);
    bytes[8] = static_cast<unsigned char>((bytes[8] & 0x3f) | 0x80);
    auto hex = to_hex(bytes.data(), bytes.size());
    for (const std::size_t at : {20, 16, 12, 8})
        hex.insert(at, 1, '-');
    return hex;
}

std::string random_hex(std::size_t bytes) {
    std::vector<unsigned char> data(bytes);
    fill_random(data.data(), data.size());
    return to_hex(data.data(), data.size());
}

bool equal_constant_time(std::string_view a, std::string_view b) {
    return a.size() == b.size() && ::CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string sha256_hex(std::string_view data) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
    unsigned size = 0;
    if (::EVP_Digest(data.data(), data.size(), digest.data(), &size, ::EVP_sha256(), nullptr) != 1) {
        throw Error{ErrorCode::Internal, "SHA-256 is not available"};
    }
    return to_hex(digest.data(), size);
}

std::string base64(std::string_view data) {
    std::string out;
    out.reserve((data.size() + 2) / 3 * 4);
    for (std::size_t i = 0; i < data.size(); i += 3) {
        std::uint32_t group = 0;
        const auto have = std::min<std::size_t>(3, data.size() - i);
        for (std::size_t k = 0; k < 3; ++k)
            group = group << 8 | (k < have ? static_cast<unsigned char>(data[i + k]) : 0);
        for (std::size_t k = 0; k < 4; ++k)
            out += k <= have ? base64_digits[group >> (18 - 6 * k) & 63] : '=';
    }
    return out;
}

std::optional<std::string> base64_decode(std::string_view text) {
    std::string packed;
    std::copy_if(text.begin(), text.end(), std::back_inserter(packed), [](char c) { return c != '\n' && c != '\r'; });
    if (packed.size() % 4 != 0) return std::nullopt;
    const auto padding = packed.size() - std::min(packed.find('='), packed.size());
    if (padding > 2 || packed.find_first_not_of('=', packed.size() - padding) != std::string::npos) return std::nullopt;
    std::string out;
    std::uint32_t group = 0;
    for (std::size_t i = 0; i < packed.size(); ++i) {
        const auto digit = packed[i] == '=' ? 0 : base64_digits.find(packed[i]);
        if (digit == std::string_view::npos) return std::nullopt;
        group = group << 6 | static_cast<std::uint32_t>(digit);
        if (i % 4 != 3) continue;
        for (const int shift : {16, 8, 0})
            out += static_cast<char>(group >> shift & 0xff);
        group = 0;
    }
    out.resize(out.size() - padding);
    return out;
}

} // namespace lxdcore::text
