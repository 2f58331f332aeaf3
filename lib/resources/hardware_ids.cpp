// SPDX-License-Identifier: Apache-2.0
#include "resources/hardware_ids.hpp"

#include <fmt/format.h>

namespace lxdcore::resources {

namespace {

constexpr std::size_t kMaxList = 16 << 20;

/// What follows the two blanks behind the id at @p at.
std::string name_at(const std::string& text, std::size_t at, const std::string& head) {
    const auto begin = at + head.size();
    return text.substr(begin, text.find('\n', begin) - begin);
}

} // namespace

HardwareIds::HardwareIds(const std::string& text) : text_{"\n" + text + "\n"} {}

HardwareIds HardwareIds::pci(const Sysfs& files) {
    for (const auto* place : {"usr/share/hwdata/pci.ids", "usr/share/misc/pci.ids"})
        if (const auto text = files.text(place, kMaxList); !text.empty()) return HardwareIds{text};
    return HardwareIds{""};
}

HardwareIds HardwareIds::usb(const Sysfs& files) {
    for (const auto* place : {"usr/share/misc/usb.ids", "usr/share/hwdata/usb.ids"})
        if (const auto text = files.text(place, kMaxList); !text.empty()) return HardwareIds{text};
    return HardwareIds{""};
}

std::string HardwareIds::vendor(const std::string& id) const {
    const auto head = "\n" + id + "  ";
    const auto at = id.empty() ? std::string::npos : text_.find(head);
    return at == std::string::npos ? std::string{} : name_at(text_, at, head);
}

std::string HardwareIds::product(const std::string& vendor, const std::string& id) const {
    return vendor.empty() || id.empty() ? std::string{} : in_section("\n" + vendor + "  ", id);
}

std::string HardwareIds::device_class(unsigned id) const {
    const auto head = fmt::format("\nC {:02x}  ", id);
    const auto at = text_.find(head);
    return at == std::string::npos ? std::string{} : name_at(text_, at, head);
}

std::string HardwareIds::device_subclass(unsigned id, unsigned subclass) const {
    return in_section(fmt::format("\nC {:02x}  ", id), fmt::format("{:02x}", subclass));
}

/// Below its head a section's lines are indented by tabs, one for what is directly in it.
std::string HardwareIds::in_section(const std::string& head, const std::string& id) const {
    const auto begin = text_.find(head);
    if (begin == std::string::npos) return {};
    const auto wanted = "\t" + id + "  ";
    for (auto line = text_.find('\n', begin + 1) + 1; line < text_.size(); line = text_.find('\n', line) + 1) {
        if (text_[line] == '#' || text_[line] == '\n') continue;
        if (text_[line] != '\t') break;
        if (text_.compare(line, wanted.size(), wanted) == 0) return name_at(text_, line, wanted);
    }
    return {};
}

} // namespace lxdcore::resources
