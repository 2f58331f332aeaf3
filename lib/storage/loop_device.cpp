// SPDX-License-Identifier: Apache-2.0
#include "storage/loop_device.hpp"

#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <lxdcore/error.hpp>

#include "util/dir.hpp"

namespace lxdcore::storage {

namespace {

constexpr int kAttempts = 64; ///< others take free numbers too

/// The kernel's numbering of devices, in one word, as new_encode_dev() makes it.
bool same_device(std::uint64_t kernel, dev_t device) {
    return ((kernel >> 8) & 0xfff) == ::major(device) &&
           ((kernel & 0xff) | ((kernel >> 12) & 0xfff00)) == ::minor(device);
}

} // namespace

std::optional<LoopDevice> LoopDevice::find(const UniqueFd& file) {
    struct stat status {};
    if (::fstat(file.get(), &status) != 0) throw_errno("loop device");
    const auto dev = Dir::open("/dev");
    const auto blocks = Dir::open("/sys/block");
    for (const auto& name : blocks.list()) {
        if (!name.starts_with("loop") || !dev.exists(name)) continue;
        UniqueFd device;
        try {
            device = dev.open_file(name, O_RDWR);
        } catch (const Error&) { // detached meanwhile
            continue;
        }
        loop_info64 info{};
        if (::ioctl(device.get(), LOOP_GET_STATUS64, &info) != 0) continue; // free
        if (info.lo_inode == status.st_ino && same_device(info.lo_device, status.st_dev))
            return LoopDevice{std::move(device), "/dev/" + name};
    }
    return std::nullopt;
}

LoopDevice LoopDevice::attach(const UniqueFd& file) {
    if (auto found = find(file)) return std::move(*found);
    const auto dev = Dir::open("/dev");
    const auto control = dev.open_file("loop-control", O_RDWR);
    for (int attempt = 0;; ++attempt) {
        const int number = ::ioctl(control.get(), LOOP_CTL_GET_FREE);
        if (number < 0) throw_errno("find a free loop device");
        const auto name = "loop" + std::to_string(number);
        auto device = dev.open_file(name, O_RDWR);
        loop_config config{};
        config.fd = static_cast<__u32>(file.get());
        config.info.lo_flags = LO_FLAGS_AUTOCLEAR;
        if (::ioctl(device.get(), LOOP_CONFIGURE, &config) == 0) return LoopDevice{std::move(device), "/dev/" + name};
        if (errno != EBUSY || attempt >= kAttempts) throw_errno("attach " + name);
    }
}

void LoopDevice::grow() {
    if (::ioctl(fd_.get(), LOOP_SET_CAPACITY, 0) != 0) throw_errno("grow " + path_);
}

} // namespace lxdcore::storage
