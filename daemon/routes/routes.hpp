// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "http/router.hpp"

namespace lxdcore::daemon {

void add_server_routes(Router& router);
void add_event_routes(Router& router);
void add_operation_routes(Router& router);
void add_operation_websocket_routes(Router& router);
void add_instance_routes(Router& router);
void add_instance_state_routes(Router& router);
void add_instance_exec_routes(Router& router);
void add_instance_file_routes(Router& router);
void add_instance_sftp_routes(Router& router);
void add_instance_log_routes(Router& router);
void add_instance_backup_routes(Router& router);
void add_instance_metadata_routes(Router& router);
void add_instance_snapshot_routes(Router& router);
void add_image_routes(Router& router);
void add_image_upload_routes(Router& router);
void add_image_alias_routes(Router& router);
void add_profile_routes(Router& router);
void add_network_routes(Router& router);
void add_storage_routes(Router& router);
void add_certificate_routes(Router& router);
void add_project_routes(Router& router);
void add_warning_routes(Router& router);
void add_metrics_routes(Router& router);
void add_internal_routes(Router& router);

/// The whole API.
void add_all_routes(Router& router);

} // namespace lxdcore::daemon
