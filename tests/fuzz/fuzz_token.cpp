// SPDX-License-Identifier: Apache-2.0
// What lets a stranger in: tokens and certificates, before anybody knows who sends them.
#include <lxdcore/operation.hpp>

#include "fuzz/fuzz.hpp"
#include "server/join_tokens.hpp"
#include "util/text.hpp"
#include "util/x509.hpp"

using namespace lxdcore;

// The issuing of tokens, which is linked along, wants the types of operations, and nothing else of them.
Operation::~Operation() = default;
ErrorCode Operation::error_code() const { return ErrorCode::Internal; }
OperationContext::~OperationContext() = default;
OperationHandle::~OperationHandle() = default;
OperationService::~OperationService() = default;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text{fuzz::text_of(data, size)};
    if (const auto secret = server::secret_of_token(text)) fuzz::require(!secret->empty());
    if (const auto decoded = text::base64_decode(text)) fuzz::require(decoded->size() <= text.size());
    fuzz::refused_or_done([&] {
        const auto certificate = x509::parse(text);
        fuzz::require(certificate.fingerprint.size() == 64);
        fuzz::require(x509::parse(certificate.pem).fingerprint == certificate.fingerprint);
    });
    return 0;
}
