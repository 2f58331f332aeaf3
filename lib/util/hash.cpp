// SPDX-License-Identifier: Apache-2.0
#include "util/hash.hpp"

#include <array>

#include <fmt/format.h>
#include <openssl/evp.h>

#include <lxdcore/error.hpp>

namespace lxdcore {

struct Sha256::Context {
    EVP_MD_CTX* evp = EVP_MD_CTX_new();
    ~Context() { EVP_MD_CTX_free(evp); }
};

Sha256::Sha256() : context_{std::make_unique<Context>()} {
    if (!context_->evp || EVP_DigestInit_ex(context_->evp, EVP_sha256(), nullptr) != 1)
        throw Error{ErrorCode::Internal, "SHA-256 is not available"};
}
Sha256::~Sha256() = default;

void Sha256::update(const void* data, std::size_t size) {
    if (EVP_DigestUpdate(context_->evp, data, size) != 1) throw Error{ErrorCode::Internal, "SHA-256 failed"};
}

std::string Sha256::hex() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    if (EVP_DigestFinal_ex(context_->evp, digest.data(), &size) != 1)
        throw Error{ErrorCode::Internal, "SHA-256 failed"};
    std::string text;
    for (unsigned i = 0; i < size; ++i)
        text += fmt::format("{:02x}", digest[i]);
    return text;
}

} // namespace lxdcore
