// SPDX-License-Identifier: Apache-2.0
#include "instance/lxc/seccomp_filter.hpp"

#include <fcntl.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <optional>
#include <vector>

#include <lxdcore/error.hpp>

#include "util/text.hpp"
#include "util/unique_fd.hpp"

namespace lxdcore::instance {

namespace {

#if defined(__x86_64__)
constexpr std::array<std::uint32_t, 2> kOtherInterfaces{SCMP_ARCH_X86, SCMP_ARCH_X32};
constexpr std::array kOwnSections{"[all]", "[x86]", "[x86_64]", "[x32]"};
#elif defined(__aarch64__)
constexpr std::array<std::uint32_t, 1> kOtherInterfaces{SCMP_ARCH_ARM};
constexpr std::array kOwnSections{"[all]", "[arm]", "[arm64]"};
#else
constexpr std::array<std::uint32_t, 0> kOtherInterfaces{};
constexpr std::array kOwnSections{"[all]"};
#endif
constexpr std::array kSections{"[x86]",         "[x86_64]",   "[x32]",  "[arm]",    "[arm64]",  "[ppc]",
                               "[ppc64]",       "[ppc64le]",  "[mips]", "[mips64]", "[mipsel]", "[mips64n32]",
                               "[mipsel64n32]", "[mipsel64]", "[s390]", "[s390x]"};

[[noreturn]] void refuse(const std::string& line) {
    throw Error{ErrorCode::InvalidArgument, "Invalid seccomp policy line " + text::quote(line)};
}

void check(int code, const char* what) {
    if (code != 0 && code != -EEXIST) throw_errno(what, -code);
}

std::vector<std::string> words(const std::string& line) {
    std::vector<std::string> out;
    for (const auto& word : text::split(line.substr(0, line.find('#')), ' '))
        if (!word.empty()) out.push_back(word);
    return out;
}

/// "errno 38", "kill", …; nothing for words that are no action.
std::optional<std::uint32_t> action(const std::vector<std::string>& line, std::size_t at) {
    const auto& word = line[at];
    if (word == "kill") return SCMP_ACT_KILL;
    if (word == "trap") return SCMP_ACT_TRAP;
    if (word == "allow") return SCMP_ACT_ALLOW;
    if (word == "notify") return SCMP_ACT_NOTIFY;
    if (word != "errno" || at + 1 >= line.size()) return std::nullopt;
    const auto number = text::parse_int(line[at + 1]);
    if (!number || *number < 0 || *number > 4095) return std::nullopt;
    return SCMP_ACT_ERRNO(static_cast<std::uint32_t>(*number));
}

scmp_compare comparison(const std::string& word) {
    static constexpr std::array<std::pair<const char*, scmp_compare>, 14> kNames{
        {{"SCMP_CMP_NE", SCMP_CMP_NE},
         {"!=", SCMP_CMP_NE},
         {"SCMP_CMP_LT", SCMP_CMP_LT},
         {"<", SCMP_CMP_LT},
         {"SCMP_CMP_LE", SCMP_CMP_LE},
         {"<=", SCMP_CMP_LE},
         {"SCMP_CMP_EQ", SCMP_CMP_EQ},
         {"==", SCMP_CMP_EQ},
         {"SCMP_CMP_GE", SCMP_CMP_GE},
         {">=", SCMP_CMP_GE},
         {"SCMP_CMP_GT", SCMP_CMP_GT},
         {">", SCMP_CMP_GT},
         {"SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ},
         {"&=", SCMP_CMP_MASKED_EQ}}};
    for (const auto& [name, value] : kNames)
        if (word == name) return value;
    refuse(word);
}

/// "[1,0x10,SCMP_CMP_EQ]": argument, value, comparison and a mask where it needs one.
scmp_arg_cmp argument(const std::string& word) {
    const auto parts = text::split(std::string_view{word}.substr(1, word.size() - 2), ',');
    if (parts.size() < 3 || parts.size() > 4) refuse(word);
    const auto number = [](const std::string& part) { return std::strtoull(part.c_str(), nullptr, 0); };
    scmp_arg_cmp out{};
    out.arg = static_cast<unsigned>(number(parts[0]));
    out.op = comparison(parts[2]);
    out.datum_a = number(parts[1]);
    if (out.op == SCMP_CMP_MASKED_EQ && parts.size() == 4) {
        out.datum_b = out.datum_a;
        out.datum_a = number(parts[3]);
    }
    if (out.arg > 5) refuse(word);
    return out;
}

class Compiler {
public:
    explicit Compiler(const std::vector<std::string>& lines) {
        const auto version = lines.empty() ? std::string{} : text::trim(lines[0]);
        if (lines.size() < 2 || (version != "1" && version != "2")) refuse(version);
        const auto head = words(lines[1]);
        if (head.empty()) refuse(lines[1]);
        const bool allow = head[0] == "allowlist" || head[0] == "whitelist";
        if (!allow && head[0] != "denylist" && head[0] != "blacklist") refuse(lines[1]);
        if (version == "1" && !allow) refuse(lines[1]); // its numbers can only be allowed
        // An action behind the style is for all calls without a rule.
        const auto given = head.size() > 1 ? action(head, 1) : allow ? SCMP_ACT_KILL : SCMP_ACT_ALLOW;
        if (!given) refuse(lines[1]);
        rule_action_ = allow ? SCMP_ACT_ALLOW : SCMP_ACT_KILL;
        filter_.reset(seccomp_init(version == "1" ? SCMP_ACT_KILL : *given));
        if (!filter_) throw Error{ErrorCode::Internal, "seccomp: cannot make a filter"};
        // Setuid programs work in containers as on a host: no-new-privileges is not implied.
        check(seccomp_attr_set(filter_.get(), SCMP_FLTATR_CTL_NNP, 0), "seccomp attribute");
        if (version == "1") {
            numbers(lines);
            return;
        }
        for (const auto interface : kOtherInterfaces)
            check(seccomp_arch_add(filter_.get(), interface), "seccomp architecture");
        rules(lines);
    }

    std::string bpf() {
        const UniqueFd file{::memfd_create("seccomp", MFD_CLOEXEC)};
        if (!file) throw_errno("seccomp memfd");
        check(seccomp_export_bpf(filter_.get(), file.get()), "seccomp export");
        std::string out(static_cast<std::size_t>(::lseek(file.get(), 0, SEEK_END)), '\0');
        if (::pread(file.get(), out.data(), out.size(), 0) != static_cast<ssize_t>(out.size()))
            throw_errno("read seccomp filter");
        return out;
    }

private:
    /// The first version of the format: numbers of calls of this processor.
    void numbers(const std::vector<std::string>& lines) {
        for (std::size_t i = 2; i < lines.size(); ++i) {
            if (lines[i].empty()) continue;
            const auto number = text::parse_int(text::trim(lines[i]));
            if (!number) refuse(lines[i]);
            check(seccomp_rule_add(filter_.get(), rule_action_, static_cast<int>(*number), 0), "seccomp rule");
        }
    }

    void rules(const std::vector<std::string>& lines) {
        for (std::size_t i = 2; i < lines.size(); ++i) {
            const auto line = words(lines[i]);
            if (line.empty()) continue;
            if (line[0].starts_with('['))
                section(line[0]);
            else if (skip_)
                continue;
            else if (line[0] == "reject_force_umount")
                add("umount2", SCMP_ACT_ERRNO(EACCES), {SCMP_A1(SCMP_CMP_MASKED_EQ, MNT_FORCE, MNT_FORCE)});
            else
                rule(lines[i], line);
        }
    }

    /// For liblxc, rules of one interface of this processor are rules of all of them.
    void section(const std::string& given) {
        const auto name = text::lower(given);
        const auto in = [&](const auto& list) { return std::find(list.begin(), list.end(), name) != list.end(); };
        skip_ = !in(kOwnSections);
        if (skip_ && !in(kSections)) refuse(given);
    }

    void rule(const std::string& text, const std::vector<std::string>& line) {
        auto chosen = rule_action_;
        std::vector<scmp_arg_cmp> arguments;
        for (std::size_t i = 1; i < line.size(); ++i) {
            if (line[i].starts_with('[') && line[i].ends_with(']')) {
                arguments.push_back(argument(line[i]));
                continue;
            }
            const auto found = action(line, i);
            if (!found) refuse(text);
            chosen = *found;
            if (line[i] == "errno") ++i;
        }
        add(line[0], chosen, arguments);
    }

    void add(const std::string& name, std::uint32_t chosen, const std::vector<scmp_arg_cmp>& arguments) {
        const auto number = seccomp_syscall_resolve_name(name.c_str());
        if (number == __NR_SCMP_ERROR) return; // liblxc leaves it out too
        check(seccomp_rule_add_array(filter_.get(), chosen, number, static_cast<unsigned>(arguments.size()),
                                     arguments.data()),
              "seccomp rule");
    }

    std::unique_ptr<void, void (*)(scmp_filter_ctx)> filter_{nullptr, seccomp_release};
    std::uint32_t rule_action_ = SCMP_ACT_KILL;
    bool skip_ = false; ///< in a section of another processor
};

} // namespace

std::string syscall_name(std::uint32_t arch, int number) {
    const std::unique_ptr<char, void (*)(void*)> name{seccomp_syscall_resolve_num_arch(arch, number), std::free};
    return name ? name.get() : "";
}

std::string seccomp_bpf(std::string_view policy) {
    if (policy.empty()) return {};
    return Compiler{text::split(policy, '\n')}.bpf();
}

} // namespace lxdcore::instance
