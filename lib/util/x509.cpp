// SPDX-License-Identifier: Apache-2.0
#include "util/x509.hpp"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <ctime>
#include <memory>

#include <fmt/format.h>

#include <lxdcore/error.hpp>

#include "util/text.hpp"

namespace lxdcore::x509 {

namespace {

template <auto Free>
struct Deleter {
    template <typename T>
    void operator()(T* pointer) const {
        Free(pointer);
    }
};
using CertificatePtr = std::unique_ptr<X509, Deleter<X509_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using BioPtr = std::unique_ptr<BIO, Deleter<BIO_free_all>>;
using BignumPtr = std::unique_ptr<BIGNUM, Deleter<BN_free>>;

constexpr std::size_t kSalt = 32;
constexpr std::size_t kHash = 64;

void require(bool done, std::string_view what) {
    if (done) return;
    ERR_clear_error();
    throw Error{ErrorCode::Internal, fmt::format("OpenSSL: {} failed", what)};
}

std::string text_of(BIO* bio) {
    char* data = nullptr;
    const auto size = BIO_get_mem_data(bio, &data);
    return {data, static_cast<std::size_t>(size)};
}

std::int64_t unix_time(const ASN1_TIME* time) {
    std::tm parts{};
    if (ASN1_TIME_to_tm(time, &parts) != 1) throw Error{ErrorCode::InvalidArgument, "Invalid certificate material"};
    return ::timegm(&parts);
}

CertificatePtr decode(std::string_view text) {
    if (text.find("-----BEGIN CERTIFICATE-----") != std::string_view::npos) {
        const BioPtr bio{BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))};
        return CertificatePtr{PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)};
    }
    const auto der = text::base64_decode(text);
    if (!der) throw Error{ErrorCode::InvalidArgument, "illegal base64 data"};
    const auto* data = reinterpret_cast<const unsigned char*>(der->data());
    CertificatePtr certificate{d2i_X509(nullptr, &data, static_cast<long>(der->size()))};
    // What follows the certificate would not be part of its fingerprint.
    if (data != reinterpret_cast<const unsigned char*>(der->data()) + der->size()) certificate.reset();
    return certificate;
}

void add_extension(X509* certificate, int nid, const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
    const std::unique_ptr<X509_EXTENSION, Deleter<X509_EXTENSION_free>> extension{
        X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str())};
    require(extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1, "certificate extension");
}

void set_serial(X509* certificate) {
    const BignumPtr number{BN_new()};
    require(BN_rand(number.get(), 127, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) == 1, "serial number");
    require(BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr, "serial number");
}

void set_names(X509* certificate, const std::string& host) {
    auto* name = X509_get_subject_name(certificate);
    const auto add = [&](const char* field, const std::string& value) {
        require(X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8,
                                           reinterpret_cast<const unsigned char*>(value.c_str()), -1, -1, 0) == 1,
                "subject name");
    };
    add("O", "linuxcontainers.org");
    add("CN", ("root@" + host).substr(0, 64));
    require(X509_set_issuer_name(certificate, name) == 1, "issuer name");
}

std::string scrypt(const std::string& password, const std::string& salt) {
    std::string hash(kHash, '\0');
    require(EVP_PBE_scrypt(password.data(), password.size(), reinterpret_cast<const unsigned char*>(salt.data()),
                           salt.size(), 1 << 14, 8, 1, 64U << 20, reinterpret_cast<unsigned char*>(hash.data()),
                           hash.size()) == 1,
            "scrypt");
    return hash;
}

std::string to_hex(std::string_view bytes) {
    std::string out;
    for (const char c : bytes)
        out += fmt::format("{:02x}", static_cast<unsigned char>(c));
    return out;
}

std::string from_hex(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i + 1 < text.size(); i += 2)
        out += static_cast<char>(std::stoi(std::string{text.substr(i, 2)}, nullptr, 16));
    return out;
}

std::string common_name(const X509* certificate) {
    const auto* subject = X509_get_subject_name(certificate);
    const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (at < 0) return {};
    unsigned char* utf8 = nullptr;
    const int size = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    ERR_clear_error();
    if (size < 0) return {};
    std::string name{reinterpret_cast<const char*>(utf8), static_cast<std::size_t>(size)};
    OPENSSL_free(utf8);
    return name;
}

} // namespace

Certificate parse(std::string_view text) {
    const auto decoded = decode(text);
    ERR_clear_error();
    if (!decoded) throw Error{ErrorCode::InvalidArgument, "Invalid certificate material: x509: malformed certificate"};
    Certificate certificate;
    unsigned char* der = nullptr;
    const int size = i2d_X509(decoded.get(), &der);
    require(size > 0, "certificate encoding");
    certificate.fingerprint = text::sha256_hex({reinterpret_cast<const char*>(der), static_cast<std::size_t>(size)});
    OPENSSL_free(der);
    const BioPtr bio{BIO_new(BIO_s_mem())};
    require(PEM_write_bio_X509(bio.get(), decoded.get()) == 1, "certificate encoding");
    certificate.pem = text_of(bio.get());
    certificate.common_name = common_name(decoded.get());
    certificate.not_before = unix_time(X509_get0_notBefore(decoded.get()));
    certificate.not_after = unix_time(X509_get0_notAfter(decoded.get()));
    return certificate;
}

KeyPair make_server_certificate(const std::string& host) {
    const KeyPtr key{EVP_EC_gen("P-384")};
    const CertificatePtr certificate{X509_new()};
    require(key != nullptr && certificate != nullptr, "key generation");
    auto* x = certificate.get();
    require(X509_set_version(x, X509_VERSION_3) == 1, "certificate version");
    set_serial(x);
    set_names(x, host);
    constexpr long ten_years = 3650L * 24 * 3600;
    X509_gmtime_adj(X509_getm_notBefore(x), 0);
    X509_gmtime_adj(X509_getm_notAfter(x), ten_years);
    require(X509_set_pubkey(x, key.get()) == 1, "public key");
    add_extension(x, NID_key_usage, "critical,digitalSignature,keyEncipherment");
    add_extension(x, NID_ext_key_usage, "serverAuth");
    add_extension(x, NID_basic_constraints, "critical,CA:FALSE");
    add_extension(x, NID_subject_alt_name, fmt::format("DNS:{},IP:127.0.0.1,IP:::1", host));
    require(X509_sign(x, key.get(), EVP_sha384()) > 0, "signature");

    KeyPair pair;
    const BioPtr out{BIO_new(BIO_s_mem())};
    require(PEM_write_bio_X509(out.get(), x) == 1, "certificate encoding");
    pair.certificate = text_of(out.get());
    const BioPtr secret{BIO_new(BIO_s_mem())};
    require(PEM_write_bio_PrivateKey_traditional(secret.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1,
            "key encoding");
    pair.key = text_of(secret.get());
    return pair;
}

std::string hash_password(const std::string& password) {
    const auto salt = text::random_hex(kSalt);
    return salt + to_hex(scrypt(password, from_hex(salt)));
}

bool check_password(const std::string& password, const std::string& hash) {
    if (hash.size() != 2 * (kSalt + kHash) || hash.find_first_not_of("0123456789abcdef") != std::string::npos)
        return false;
    return text::equal_constant_time(to_hex(scrypt(password, from_hex(hash.substr(0, 2 * kSalt)))),
                                     hash.substr(2 * kSalt));
}

} // namespace lxdcore::x509
