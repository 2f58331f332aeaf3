// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include <lxdcore/service/backup_service.hpp>

#include "client/rest.hpp"

namespace lxdcore::client {

/// The file of a backup, copied to this host.
BackupService::File receive_backup(Rest& rest, const Url& url, const std::string& modified);
/// Sends such a file, of which the server makes something; '' of @p name and @p pool is what the backup says.
OperationPtr send_backup(Rest& rest, const Url& url, const std::string& name, const std::string& pool,
                         const std::shared_ptr<int>& archive);

} // namespace lxdcore::client
