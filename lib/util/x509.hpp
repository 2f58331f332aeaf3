// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

/// Certificates and password hashes on OpenSSL. Reentrant.
namespace lxdcore::x509 {

struct Certificate {
    std::string pem;
    std::string fingerprint;                    ///< SHA-256 of the DER form, lowercase hex
    std::string common_name;                    ///< of the subject, UTF-8; "" without one
    std::int64_t not_before = 0, not_after = 0; ///< seconds since 1970
};

/// PEM, or DER in base64. @throws Error InvalidArgument with LXD's texts
Certificate parse(std::string_view text);

struct KeyPair {
    std::string certificate, key; ///< PEM
};
/// A self-signed server certificate as LXD makes one: EC P-384, ten years, SAN @p host, 127.0.0.1 and ::1.
KeyPair make_server_certificate(const std::string& host);

/// scrypt with a random salt, in LXD's form: hex of 32 bytes of salt and 64 bytes of hash.
std::string hash_password(const std::string& password);
/// Constant time for a given hash; false for a damaged one.
bool check_password(const std::string& password, const std::string& hash);

} // namespace lxdcore::x509
