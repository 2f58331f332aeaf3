// SPDX-License-Identifier: Apache-2.0
#include "config/config_keys.hpp"
#include "config/validators.hpp"

namespace lxdcore::config {

std::span<const Key> server_keys() {
    static constexpr Key table[] = {
        {"backups.compression_algorithm", "gzip", check::compression, true, true},
        {"candid.api.key", "", check::any, true, false},
        {"candid.api.url", "", check::any, true, false},
        {"candid.domains", "", check::any, true, false},
        {"candid.expiry", "3600", check::int64, true, false},
        {"cluster.https_address", "", check::cluster_address, true, false},
        {"cluster.images_minimal_replica", "3", check::minimal_replica, true, true},
        {"cluster.join_token_expiry", "3H", check::expiry, true, true},
        {"cluster.max_standby", "2", check::max_standby, true, true},
        {"cluster.max_voters", "3", check::max_voters, true, true},
        {"cluster.offline_threshold", "20", check::offline_threshold, true, true},
        {"core.bgp_address", "", check::listen_address, true, false},
        {"core.bgp_asn", "", check::bgp_asn, true, false},
        {"core.bgp_routerid", "", check::address_v4, true, false},
        {"core.debug_address", "", check::listen_address, true, false},
        {"core.dns_address", "", check::listen_address, true, false},
        {"core.https_address", "", check::listen_address, true, true},
        {"core.https_allowed_credentials", "", check::boolean, true, true},
        {"core.https_allowed_headers", "", check::any, true, true},
        {"core.https_allowed_methods", "", check::any, true, true},
        {"core.https_allowed_origin", "", check::any, true, true},
        {"core.https_trusted_proxy", "", check::any, true, false},
        {"core.metrics_address", "", check::listen_address, true, true},
        {"core.metrics_authentication", "true", check::boolean, true, true},
        {"core.proxy_http", "", check::any, true, true},
        {"core.proxy_https", "", check::any, true, true},
        {"core.proxy_ignore_hosts", "", check::any, true, true},
        {"core.remote_token_expiry", "", check::expiry, true, true},
        {"core.shutdown_timeout", "5", check::int64, true, true},
        {"core.trust_ca_certificates", "", check::boolean, true, false},
        {"core.trust_password", "", check::any, true, true},
        {"images.auto_update_cached", "true", check::boolean, true, true},
        {"images.auto_update_interval", "6", check::int64, true, true},
        {"images.compression_algorithm", "gzip", check::compression, true, true},
        {"images.default_architecture", "", check::architecture, true, true},
        {"images.remote_cache_expiry", "10", check::int64, true, true},
        {"maas.api.key", "", check::any, true, false},
        {"maas.api.url", "", check::any, true, false},
        {"maas.machine", "", check::any, true, false},
        {"network.ovn.integration_bridge", "br-int", check::any, true, false},
        {"network.ovn.northbound_connection", "unix:/var/run/ovn/ovnnb_db.sock", check::any, true, false},
        {"rbac.agent.private_key", "", check::any, true, false},
        {"rbac.agent.public_key", "", check::any, true, false},
        {"rbac.agent.url", "", check::any, true, false},
        {"rbac.agent.username", "", check::any, true, false},
        {"rbac.api.expiry", "3600", check::int64, true, false},
        {"rbac.api.key", "", check::any, true, false},
        {"rbac.api.url", "", check::any, true, false},
        {"rbac.expiry", "3600", check::int64, true, false},
        {"storage.backups_volume", "", check::any, true, true},
        {"storage.images_volume", "", check::any, true, true},
        {"user.*", "", check::any, true, true},
    };
    return table;
}

} // namespace lxdcore::config
