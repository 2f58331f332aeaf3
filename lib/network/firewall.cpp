// SPDX-License-Identifier: Apache-2.0
#include "network/firewall.hpp"

#include <nftables/libnftables.h>

#include <fmt/format.h>
#include <lxdcore/error.hpp>
#include <nlohmann/json.hpp>

#include "util/text.hpp"

namespace lxdcore::network {
namespace {

using nlohmann::json;

struct ContextDeleter {
    void operator()(nft_ctx* context) const noexcept { nft_ctx_free(context); }
};
using Context = std::unique_ptr<nft_ctx, ContextDeleter>;

std::string first_line(const char* text) {
    const std::string all = text ? text : "";
    return text::trim(all.substr(0, all.find('\n')));
}

json table() { return {{"family", "inet"}, {"name", "lxdcore"}}; }

} // namespace

Firewall::Firewall() = default;
Firewall::~Firewall() = default;

json Firewall::run(const json& commands) const {
    const Context context{nft_ctx_new(NFT_CTX_DEFAULT)};
    if (!context) throw Error{ErrorCode::Internal, "nftables: out of memory"};
    nft_ctx_output_set_flags(context.get(), NFT_CTX_OUTPUT_JSON);
    if (nft_ctx_buffer_output(context.get()) != 0 || nft_ctx_buffer_error(context.get()) != 0)
        throw Error{ErrorCode::Internal, "nftables: out of memory"};
    if (nft_run_cmd_from_buffer(context.get(), commands.dump().c_str()) != 0)
        throw Error{ErrorCode::Internal, fmt::format("Failed applying nftables config: {}",
                                                     first_line(nft_ctx_get_error_buffer(context.get())))};
    const char* output = nft_ctx_get_output_buffer(context.get());
    return output && *output ? json::parse(output, nullptr, false) : json{};
}

void Firewall::apply(const std::string& network, const BridgeConfig& config) {
    const std::lock_guard lock{mutex_};
    run(rules::replace(network, config));
}

void Firewall::limit_incoming(const std::string& link, std::uint64_t bits) {
    const std::lock_guard lock{mutex_};
    run(rules::limit_incoming(link, bits));
}

void Firewall::remove(const std::string& network) {
    const std::lock_guard lock{mutex_};
    run(rules::remove(network));
    const json listed = run({{"nftables", {{{"list", {{"table", table()}}}}}}});
    if (listed.is_discarded() || !listed.contains("nftables")) return;
    for (const json& item : listed["nftables"]) {
        if (item.contains("chain")) return;
    }
    run({{"nftables", {{{"delete", {{"table", table()}}}}}}});
}

std::map<std::string, std::size_t> Firewall::list() const {
    json listed;
    try {
        listed = run({{"nftables", {{{"list", {{"table", table()}}}}}}});
    } catch (const Error&) { // the table is not there
        return {};
    }
    std::map<std::string, std::size_t> result;
    if (listed.is_discarded() || !listed.contains("nftables")) return result;
    for (const json& item : listed["nftables"]) {
        if (item.contains("chain")) result.try_emplace(item["chain"].value("name", ""), 0);
        if (item.contains("rule")) ++result[item["rule"].value("chain", "")];
    }
    return result;
}

std::map<std::string, std::size_t> Firewall::present() const {
    const std::lock_guard lock{mutex_};
    return list();
}

} // namespace lxdcore::network
