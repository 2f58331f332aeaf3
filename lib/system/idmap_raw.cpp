// SPDX-License-Identifier: Apache-2.0
#include "system/idmap_raw.hpp"

#include <algorithm>

#include <fmt/format.h>

#include <lxdcore/error.hpp>

#include "util/text.hpp"

namespace lxdcore {

namespace {

constexpr std::int64_t kMaxId = 0xfffffffe;

[[noreturn]] void refuse(std::string message) { throw Error{ErrorCode::InvalidArgument, std::move(message)}; }

std::int64_t id(const std::string& word) {
    const auto number = text::parse_int(word);
    if (!number || *number < 0) refuse(fmt::format("strconv.ParseInt: parsing {}: invalid syntax", text::quote(word)));
    return *number;
}

struct Span {
    std::int64_t first, count;
};

/// All fields between @p separator, empty ones too.
std::vector<std::string> fields(std::string_view line, char separator) {
    std::vector<std::string> out(1);
    for (const char c : line) {
        if (c == separator)
            out.emplace_back();
        else
            out.back() += c;
    }
    return out;
}

Span span(const std::string& word) {
    const auto ends = fields(word, '-');
    if (ends.size() > 2) refuse(fmt::format("Invalid ID Map range {}", text::quote(word)));
    const auto first = id(ends.front()), last = id(ends.back());
    if (last < first || last > kMaxId) refuse(fmt::format("Invalid ID Map range {}", text::quote(word)));
    return {first, last - first + 1};
}

bool meet(std::int64_t a, std::int64_t a_count, std::int64_t b, std::int64_t b_count) {
    return a < b + b_count && b < a + a_count;
}

bool same_kind(const IdRange& a, const IdRange& b) { return (a.uid && b.uid) || (a.gid && b.gid); }

void check_host(const IdMap& map, const IdRange& entry) {
    for (const auto& range : map.ranges)
        if (same_kind(range, entry) && meet(range.host, range.count, entry.host, entry.count))
            refuse("Host id is in the range of subids");
}

/// @p entry takes the place of the ids that it has inside.
void put(IdMap& map, const IdRange& entry) {
    check_host(map, entry);
    std::vector<IdRange> out;
    bool placed = false;
    for (const auto& range : map.ranges) {
        if (!same_kind(range, entry) || !meet(range.ns, range.count, entry.ns, entry.count)) {
            out.push_back(range);
            continue;
        }
        auto before = range, after = range;
        before.count = entry.ns - range.ns;
        if (before.count > 0) out.push_back(before);
        out.push_back(entry);
        const auto skipped = entry.ns + entry.count - range.ns;
        after.ns += skipped;
        after.host += skipped;
        after.count -= skipped;
        if (after.count > 0) out.push_back(after);
        placed = true;
    }
    if (!placed) out.push_back(entry);
    map.ranges = std::move(out);
}

IdRange parse_line(const std::string& line) {
    const auto words = fields(line, ' ');
    if (words.size() != 3) refuse(fmt::format("Invalid ID map line {}", text::quote(line)));
    const auto host = span(words[1]), inside = span(words[2]);
    if (host.count != inside.count)
        refuse(fmt::format("The ID map ranges are of different sizes {}", text::quote(line)));
    const bool both = words[0] == "both", uid = both || words[0] == "uid", gid = both || words[0] == "gid";
    if (!uid && !gid) refuse(fmt::format("Invalid ID map type {}", text::quote(line)));
    return {.uid = uid, .gid = gid, .host = host.first, .ns = inside.first, .count = host.count};
}

/// The ranges of @p owner, also small ones.
std::vector<Span> delegated(std::string_view text, std::string_view owner) {
    std::vector<Span> out;
    for (const auto& line : text::split(text, '\n')) {
        const auto parts = text::split(text::trim(line), ':');
        if (parts.size() != 3 || parts[0] != owner) continue;
        const auto first = text::parse_int(parts[1]), count = text::parse_int(parts[2]);
        if (first && count && *first > 0 && *count > 0 && *first <= kMaxId && *count <= kMaxId) // never the host's root
            out.push_back({*first, *count});
    }
    std::sort(out.begin(), out.end(), [](const Span& a, const Span& b) { return a.first < b.first; });
    return out;
}

void check_kind(const IdMap& map, bool uid, std::string_view text, const char* file) {
    auto spans = delegated(text, "root");
    if (spans.empty()) spans = delegated(text, "lxd");
    for (const auto& range : map.ranges) {
        if (uid ? !range.uid : !range.gid) continue;
        auto next = range.host; // the first id that nothing has covered so far
        for (const auto& span : spans)
            if (next >= span.first) next = std::max(next, span.first + span.count);
        if (range.host == 0 || next < range.host + range.count)
            throw Error{ErrorCode::BadState, fmt::format("The host {} {} may not be used: {} does not give it to root",
                                                         uid ? "uid" : "gid", range.host == 0 ? 0 : next, file)};
    }
}

} // namespace

IdMap with_raw_idmap(const IdMap& base, const IdMap& server, std::string_view raw) {
    IdMap own, out = base;
    for (const auto& line : fields(raw, '\n'))
        if (!line.empty()) put(own, parse_line(line));
    for (const auto& entry : own.ranges) {
        check_host(server, entry);
        put(out, entry);
    }
    return out;
}

IdMap with_lxc_idmap(IdMap map, const IdMap& server, std::string_view value) {
    std::vector<std::string> words;
    for (const auto& word : fields(value, ' '))
        if (!word.empty()) words.push_back(word);
    const auto wrong = [&] { return words.size() != 4 || (words[0] != "u" && words[0] != "g" && words[0] != "b"); };
    if (wrong()) refuse("Invalid lxc.idmap value: " + std::string{value});
    const IdRange entry{.uid = words[0] != "g",
                        .gid = words[0] != "u",
                        .host = id(words[2]),
                        .ns = id(words[1]),
                        .count = id(words[3])};
    if (entry.count == 0 || entry.count > kMaxId || entry.host > kMaxId - entry.count ||
        entry.ns > kMaxId - entry.count)
        refuse("Invalid lxc.idmap value: " + std::string{value});
    check_host(server, entry);
    put(map, entry);
    return map;
}

void check_delegated(const IdMap& map, std::string_view subuid, std::string_view subgid) {
    check_kind(map, true, subuid, "/etc/subuid");
    check_kind(map, false, subgid, "/etc/subgid");
}

std::vector<IdRange> kernel_ranges(const IdMap& map) {
    std::vector<IdRange> out;
    const auto add = [&](const IdRange& range) {
        if (std::find(out.begin(), out.end(), range) == out.end()) out.push_back(range);
    };
    for (const auto& range : map.ranges) {
        auto part = range;
        part.gid = false;
        if (range.uid) add(part);
        part = range;
        part.uid = false;
        if (range.gid) add(part);
    }
    return out;
}

} // namespace lxdcore
