// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <lxdcore/api/resources.hpp>
#include <lxdcore/operation.hpp>

namespace lxdcore::server {

/// The secret inside of what `lxc config trust add` prints; unset for any other text.
std::optional<std::string> secret_of_token(const std::string& token);

/// Invitations into the trust store. Each is an operation that stays until somebody comes with its secret, and ends
/// with the process, as LXD's do; what is compared is a hash (R20). Thread-safe.
class JoinTokens {
public:
    explicit JoinTokens(OperationService& operations);
    ~JoinTokens();

    struct Place {
        std::string fingerprint; ///< of the server's certificate
        std::vector<std::string> addresses;
        std::optional<api::Time> expires_at;
    };
    OperationPtr issue(const api::CertificatesPost& request, const Place& place);
    /// Uses the token up, whatever comes of it. @throws Error Forbidden for one that is unknown, used up or expired
    api::CertificatePut redeem(const std::string& secret);

private:
    struct Shared;
    OperationService& operations_;
    std::shared_ptr<Shared> shared_; ///< the operations' ends refer to it
};

} // namespace lxdcore::server
