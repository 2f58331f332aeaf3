// SPDX-License-Identifier: Apache-2.0
#include "routes/routes.hpp"

namespace lxdcore::daemon {

void add_all_routes(Router& router) {
    add_server_routes(router);
    add_event_routes(router);
    add_operation_routes(router);
    add_operation_websocket_routes(router);
    add_instance_routes(router);
    add_instance_state_routes(router);
    add_instance_exec_routes(router);
    add_instance_file_routes(router);
    add_instance_sftp_routes(router);
    add_instance_log_routes(router);
    add_instance_metadata_routes(router);
    add_instance_backup_routes(router);
    add_instance_snapshot_routes(router);
    add_image_routes(router);
    add_image_upload_routes(router);
    add_image_alias_routes(router);
    add_profile_routes(router);
    add_network_routes(router);
    add_storage_routes(router);
    add_certificate_routes(router);
    add_project_routes(router);
    add_warning_routes(router);
    add_metrics_routes(router);
    add_internal_routes(router);
}

} // namespace lxdcore::daemon
