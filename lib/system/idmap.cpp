// SPDX-License-Identifier: Apache-2.0
#include "system/idmap.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

#include <lxdcore/error.hpp>

#include "util/text.hpp"

namespace lxdcore {

namespace {

constexpr std::int64_t kMaxId = 0xfffffffe;
constexpr std::int64_t kMinRange = 65536;

std::optional<std::int64_t> shift(const std::vector<IdRange>& ranges, bool uid, bool to_host, std::int64_t id) {
    for (const auto& range : ranges) {
        if (uid ? !range.uid : !range.gid) continue;
        const auto from = to_host ? range.ns : range.host;
        const auto to = to_host ? range.host : range.ns;
        if (id >= from && id - from < range.count) return id - from + to;
    }
    return std::nullopt;
}

/// The first range of at least 65536 ids that @p owner has.
std::optional<IdRange> range_of(const std::string& text, const std::string& owner) {
    for (const auto& line : text::split(text, '\n')) {
        const auto fields = text::split(text::trim(line), ':');
        if (fields.size() != 3 || fields[0] != owner) continue;
        const auto first = text::parse_int(fields[1]);
        const auto count = text::parse_int(fields[2]);
        // A range that begins at 0 or reaches beyond 32 bits would hand out the host's own ids.
        if (!first || !count || *first <= 0 || *count < kMinRange || *first > kMaxId || *count > kMaxId - *first + 1)
            continue;
        return IdRange{.host = *first, .ns = 0, .count = *count};
    }
    return std::nullopt;
}

std::optional<IdRange> range_for(const std::string& text) {
    if (auto root = range_of(text, "root")) return root;
    return range_of(text, "lxd");
}

} // namespace

std::optional<std::int64_t> IdMap::host_uid(std::int64_t ns) const { return shift(ranges, true, true, ns); }
std::optional<std::int64_t> IdMap::host_gid(std::int64_t ns) const { return shift(ranges, false, true, ns); }
std::optional<std::int64_t> IdMap::ns_uid(std::int64_t host) const { return shift(ranges, true, false, host); }
std::optional<std::int64_t> IdMap::ns_gid(std::int64_t host) const { return shift(ranges, false, false, host); }

std::string IdMap::json() const {
    std::string out = "[";
    for (const auto& range : ranges) {
        if (out.size() > 1) out += ',';
        out += std::string{"{\"Isuid\":"} + (range.uid ? "true" : "false") +
               ",\"Isgid\":" + (range.gid ? "true" : "false") + ",\"Hostid\":" + std::to_string(range.host) +
               ",\"Nsid\":" + std::to_string(range.ns) + ",\"Maprange\":" + std::to_string(range.count) + "}";
    }
    return out + "]";
}

IdMap IdMap::parse(const std::string& json) {
    IdMap map;
    if (json.empty()) return map;
    const auto parsed = nlohmann::json::parse(json, nullptr, false);
    if (!parsed.is_array()) throw Error{ErrorCode::InvalidArgument, "Invalid id map"};
    for (const auto& entry : parsed) {
        IdRange range;
        try {
            range.uid = entry.at("Isuid").get<bool>();
            range.gid = entry.at("Isgid").get<bool>();
            range.host = entry.at("Hostid").get<std::int64_t>();
            range.ns = entry.at("Nsid").get<std::int64_t>();
            range.count = entry.at("Maprange").get<std::int64_t>();
        } catch (const nlohmann::json::exception&) {
            throw Error{ErrorCode::InvalidArgument, "Invalid id map"};
        }
        const auto in_bounds = [&](std::int64_t first) {
            return first >= 0 && first <= kMaxId && range.count <= kMaxId - first + 1;
        };
        if (range.count <= 0 || !in_bounds(range.host) || !in_bounds(range.ns))
            throw Error{ErrorCode::InvalidArgument, "Invalid id map"};
        map.ranges.push_back(range);
    }
    return map;
}

IdMap server_idmap(const std::string& subuid_text, const std::string& subgid_text) {
    auto uids = range_for(subuid_text);
    auto gids = range_for(subgid_text);
    if (!uids || !gids)
        throw Error{ErrorCode::BadState,
                    "No uid/gid allocation configured for root: add one to /etc/subuid and /etc/subgid, for instance "
                    "\"root:1000000:1000000000\""};
    uids->uid = true;
    uids->gid = false;
    gids->uid = false;
    gids->gid = true;
    return IdMap{.ranges = {*uids, *gids}};
}

std::int64_t map_size(const IdMap& map) {
    std::int64_t uid = 0, gid = 0;
    for (const auto& range : map.ranges) {
        if (range.uid) uid = std::max(uid, range.count);
        if (range.gid) gid = std::max(gid, range.count);
    }
    return std::min(uid, gid);
}

IdMap slice(const IdMap& server, std::int64_t offset, std::int64_t size) {
    IdMap map;
    for (auto range : server.ranges) {
        if (offset < 0 || size <= 0 || offset > range.count - size)
            throw Error{ErrorCode::InvalidArgument, "Not enough uid/gid available for the container"};
        range.host += offset;
        range.count = size;
        map.ranges.push_back(range);
    }
    return map;
}

std::int64_t free_offset(const IdMap& server, std::int64_t size, std::vector<IdSlot> taken) {
    std::sort(taken.begin(), taken.end(), [](const IdSlot& a, const IdSlot& b) { return a.offset < b.offset; });
    // The first 65536 ids belong to the instances that are not isolated.
    std::int64_t offset = kMinRange;
    for (const auto& slot : taken) {
        if (slot.offset + slot.size <= offset) continue;
        if (slot.offset >= offset + size) break;
        offset = slot.offset + slot.size;
    }
    if (offset + size > map_size(server))
        throw Error{ErrorCode::BadState, "Not enough uid/gid available for the container"};
    return offset;
}

} // namespace lxdcore
