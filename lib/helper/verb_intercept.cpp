// SPDX-License-Identifier: Apache-2.0
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/mount.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <string>

#include <nlohmann/json.hpp>

#include "helper/calling_process.hpp"
#include "helper/locked_mount.hpp"
#include "helper/reply.hpp"
#include "helper/verbs.hpp"
#include "util/byte_text.hpp"
#include "util/text.hpp"

namespace lxdcore::helper {

namespace {

/// What the system call gives its caller.
struct Outcome {
    int error = 0;
    bool proceed = false; ///< the kernel shall carry it out itself
};
constexpr Outcome kProceed{.error = 0, .proceed = true};

std::string path_of(const nlohmann::json& request, const char* key) { return bytes_from_text(need_text(request, key)); }

UniqueFd proc_self_fds() {
    UniqueFd out{::open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC)};
    if (!out) throw_errno("open /proc/self/fd");
    return out;
}

/// Into the mounts of the process, still with all rights: what is open stays open.
void enter_mounts(const CallingProcess& caller, const GuestProcess& process) {
    const int flags = process.foreign_namespaces(CLONE_NEWNS);
    if (flags != 0 && ::setns(caller.process_fd(), flags) != 0) throw_errno("enter mounts");
}

int attach(int mount, int target) {
    constexpr unsigned kByDescriptor = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;
    return ::syscall(SYS_move_mount, mount, "", target, "", kByDescriptor) == 0 ? 0 : errno;
}

int set_attributes(int mount, const mount_attr& attributes) {
    return ::syscall(SYS_mount_setattr, mount, "", AT_EMPTY_PATH, &attributes, sizeof attributes) == 0 ? 0 : errno;
}

// --- mknod ---

const char* host_device(unsigned major, unsigned minor) {
    if (major == 5) return minor == 0 ? "/dev/tty" : "/dev/console";
    switch (minor) {
    case 3:
        return "/dev/null";
    case 5:
        return "/dev/zero";
    case 7:
        return "/dev/full";
    case 8:
        return "/dev/random";
    default:
        return "/dev/urandom";
    }
}

struct Place {
    UniqueFd parent;
    std::string name;
};

/// On a filesystem that the guest has mounted no device can be opened: the host's is put there.
int bind_device(const CallingProcess& caller, const GuestProcess& process, const Place& place, const char* source) {
    const UniqueFd mount{
        static_cast<int>(::syscall(SYS_open_tree, AT_FDCWD, source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC))};
    if (!mount) return errno;
    // The host's /dev may be shared: what the guest mounts on the device would be mounted there, too.
    mount_attr apart{};
    apart.propagation = MS_PRIVATE;
    if (const int error = set_attributes(mount.get(), apart); error != 0) return error;
    if (::unlinkat(place.parent.get(), place.name.c_str(), 0) != 0) return errno;
    if (::mknodat(place.parent.get(), place.name.c_str(), S_IFREG | 0600, 0) != 0) return errno;
    const UniqueFd target{::openat(place.parent.get(), place.name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC)};
    if (!target) return errno;
    enter_mounts(caller, process);
    return attach(mount.get(), target.get());
}

bool is_closed_device(const Place& place) {
    const UniqueFd fd{
        ::openat(place.parent.get(), place.name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)};
    return !fd && errno == EACCES;
}

Outcome make_node(const nlohmann::json& request, const CallingProcess& caller, const GuestProcess& process) {
    if (!caller.has(CAP_MKNOD)) return kProceed;
    auto path = path_of(request, "path");
    const auto slash = path.rfind('/');
    Place place{.parent = {}, .name = path.substr(slash == std::string::npos ? 0 : slash + 1)};
    if (place.name.empty() || place.name == "." || place.name == "..") return kProceed;
    const auto folder = slash == std::string::npos ? std::string{"."} : path.substr(0, slash + 1);
    const auto start = caller.directory(static_cast<int>(need_int(request, "directory")));
    auto found = caller.in_its_place([&](int& fd) {
        fd = ::openat(start.get(), folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0) return errno;
        return ::syscall(SYS_faccessat2, fd, "", W_OK | X_OK, AT_EACCESS | AT_EMPTY_PATH) == 0 ? 0 : errno;
    });
    if (found.error != 0) return {.error = found.error};
    place.parent = std::move(found.fd);

    const auto major = static_cast<unsigned>(need_int(request, "major"));
    const auto minor = static_cast<unsigned>(need_int(request, "minor"));
    const auto mode = static_cast<mode_t>(need_int(request, "mode"));
    caller.lend_ids();
    ::umask(caller.umask());
    if (::mknodat(place.parent.get(), place.name.c_str(), S_IFCHR | mode, makedev(major, minor)) != 0)
        return {.error = errno};
    if (!is_closed_device(place)) return {};
    return {.error = bind_device(caller, process, place, host_device(major, minor))};
}

// --- setxattr ---

Outcome set_attribute(const nlohmann::json& request, const CallingProcess& caller) {
    if (!caller.has(CAP_SYS_ADMIN)) return kProceed;
    const auto path = path_of(request, "path");
    const auto found = caller.in_its_place([&](int& fd) {
        fd = ::open(path.c_str(), O_PATH | O_CLOEXEC);
        return fd < 0 ? errno : 0;
    });
    if (found.error != 0) return {.error = found.error};
    const auto value = path_of(request, "value");
    const auto ours = proc_self_fds();
    if (::fchdir(ours.get()) != 0) throw_errno("chdir");
    const int flags = static_cast<int>(need_int(request, "flags"));
    const auto number = std::to_string(found.fd.get());
    const int result =
        ::setxattr(number.c_str(), need_text(request, "name").c_str(), value.data(), value.size(), flags);
    return {.error = result == 0 ? 0 : errno};
}

// --- sched_setscheduler ---

Outcome set_scheduler(const nlohmann::json& request, const CallingProcess& caller, const GuestProcess& process) {
    if (!caller.has(CAP_SYS_NICE)) return kProceed;
    const auto target = static_cast<pid_t>(need_int(request, "target"));
    const int policy = static_cast<int>(need_int(request, "policy"));
    const sched_param parameters{.sched_priority = static_cast<int>(need_int(request, "priority"))};
    if (target < 0) return kProceed;
    // In the guest a number can only mean a process of the guest; "myself" would be the child.
    const auto own = process.read("status");
    const auto line = own.find("NSpid:");
    if (line == std::string::npos) return kProceed;
    const auto last = own.find_last_of(" \t", own.find('\n', line));
    const auto number = target == 0 ? static_cast<pid_t>(std::stol(own.substr(last))) : target;
    const int flags = process.foreign_namespaces(CLONE_NEWPID);
    if (flags == 0 || ::setns(caller.process_fd(), flags) != 0) return kProceed;
    const pid_t child = ::fork();
    if (child < 0) throw_errno("fork");
    if (child == 0) ::_exit(::sched_setscheduler(number, policy, &parameters) == 0 ? 0 : errno);
    int status = 0;
    if (::waitpid(child, &status, 0) != child || !WIFEXITED(status)) return kProceed;
    return {.error = WEXITSTATUS(status)};
}

// --- mount ---

/// The host's name of a block device, as the kernel calls it.
std::string device_path(dev_t device) {
    const auto info = read_small(
        AT_FDCWD,
        ("/sys/dev/block/" + std::to_string(major(device)) + ":" + std::to_string(minor(device)) + "/uevent").c_str());
    constexpr std::string_view kKey = "DEVNAME=";
    const auto at = info.find(kKey);
    if (at == std::string::npos) return {};
    const auto path = "/dev/" + info.substr(at + kKey.size(), info.find('\n', at) - at - kKey.size());
    struct stat seen {};
    return ::stat(path.c_str(), &seen) == 0 && S_ISBLK(seen.st_mode) && seen.st_rdev == device ? path : std::string{};
}

int configure(int context, unsigned command, const char* key, const char* value) {
    return ::syscall(SYS_fsconfig, context, command, key, value, 0) == 0 ? 0 : errno;
}

/// Options that name a further device, and all that name a path: the kernel would look for it among the host's files.
bool reaches_further(const std::string& key, const std::string& value) {
    for (const char* device : {"source", "device", "journal_dev", "journal_path", "logdev", "rtdev", "jdev"})
        if (key == device) return true;
    return value.find('/') != std::string::npos;
}

/// "a,b=c" as mount(8) hands them over.
int give_options(int context, const std::string& options) {
    for (std::size_t at = 0; at < options.size();) {
        const auto end = std::min(options.find(',', at), options.size());
        const auto option = options.substr(at, end - at);
        at = end + 1;
        if (option.empty()) continue;
        const auto equals = option.find('=');
        const auto key = option.substr(0, equals);
        if (reaches_further(key, equals == std::string::npos ? "" : option.substr(equals + 1))) return EPERM;
        const int error = equals == std::string::npos
                              ? configure(context, FSCONFIG_SET_FLAG, key.c_str(), nullptr)
                              : configure(context, FSCONFIG_SET_STRING, key.c_str(), option.c_str() + equals + 1);
        if (error != 0) return error;
    }
    return 0;
}

/// What the guest may not change later. Never with devices: an image may hold nodes of the host's disks that belong to
/// the guest's root. The kernel locks the times along with it.
unsigned lasting_attributes(std::uint64_t flags) {
    unsigned out = MOUNT_ATTR_NODEV;
    if ((flags & MS_NOATIME) != 0) out |= MOUNT_ATTR_NOATIME;
    if ((flags & MS_STRICTATIME) != 0) out |= MOUNT_ATTR_STRICTATIME;
    if ((flags & MS_NODIRATIME) != 0) out |= MOUNT_ATTR_NODIRATIME;
    return out;
}

unsigned other_attributes(std::uint64_t flags) {
    unsigned out = 0;
    if ((flags & MS_RDONLY) != 0) out |= MOUNT_ATTR_RDONLY;
    if ((flags & MS_NOSUID) != 0) out |= MOUNT_ATTR_NOSUID;
    if ((flags & MS_NOEXEC) != 0) out |= MOUNT_ATTR_NOEXEC;
    return out;
}

int shift_ids(int mount, const GuestProcess& process) {
    const UniqueFd users{::openat(process.proc(), "ns/user", O_RDONLY | O_CLOEXEC)};
    if (!users) return errno;
    mount_attr attributes{};
    attributes.attr_set = MOUNT_ATTR_IDMAP;
    attributes.userns_fd = static_cast<std::uint64_t>(users.get());
    return set_attributes(mount, attributes);
}

struct Mounted {
    int error = 0;
    UniqueFd mount;
};

Mounted make_mount(const nlohmann::json& request, const std::string& source, const std::string& options,
                   std::uint64_t flags) {
    const UniqueFd context{static_cast<int>(::syscall(SYS_fsopen, path_of(request, "type").c_str(), FSOPEN_CLOEXEC))};
    if (!context) return {errno, {}};
    if (const int error = configure(context.get(), FSCONFIG_SET_STRING, "source", source.c_str()); error != 0)
        return {error, {}};
    if ((flags & MS_RDONLY) != 0) configure(context.get(), FSCONFIG_SET_FLAG, "ro", nullptr);
    if (const int error = give_options(context.get(), options); error != 0) return {error, {}};
    if (const int error = configure(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr); error != 0)
        return {error, {}};
    UniqueFd mount{static_cast<int>(::syscall(SYS_fsmount, context.get(), FSMOUNT_CLOEXEC, lasting_attributes(flags)))};
    return mount ? Mounted{0, std::move(mount)} : Mounted{errno, {}};
}

/// Of the block device that the caller names.
Mounted mount_device(const nlohmann::json& request, const CallingProcess& caller, const GuestProcess& process,
                     std::uint64_t flags) {
    const auto path = path_of(request, "source");
    const auto source = caller.in_its_place([&](int& fd) {
        fd = ::open(path.c_str(), O_PATH | O_CLOEXEC);
        return fd < 0 ? errno : 0;
    });
    struct stat info {};
    if (source.error != 0) return {source.error, {}};
    if (::fstat(source.fd.get(), &info) != 0) return {errno, {}};
    if (!S_ISBLK(info.st_mode)) return {ENOTBLK, {}};
    // A node is no right to the device: the guest itself must be able to open it, as its device rules say.
    const auto opened = caller.in_its_place([&](int& fd) {
        fd = ::open(path.c_str(), ((flags & MS_RDONLY) != 0 ? O_RDONLY : O_RDWR) | O_CLOEXEC);
        struct stat seen {};
        if (fd < 0 || ::fstat(fd, &seen) != 0) return errno;
        return S_ISBLK(seen.st_mode) && seen.st_rdev == info.st_rdev ? 0 : EACCES;
    });
    if (opened.error != 0) return {opened.error, {}};
    const auto device = device_path(info.st_rdev);
    if (device.empty()) return {ENXIO, {}};
    auto made = make_mount(request, device, path_of(request, "options"), flags);
    if (made.error == 0 && request.value("shift", false)) made.error = shift_ids(made.mount.get(), process);
    return made;
}

/// The host's number of an id of the guest, by a map of /proc ("inside outside count" in each line).
std::optional<std::uint64_t> host_id(const std::string& map, std::int64_t id) {
    std::istringstream in{map};
    for (std::int64_t first, host, count; in >> first >> host >> count;)
        if (id >= first && id - first < count) return static_cast<std::uint64_t>(host + (id - first));
    return std::nullopt;
}

/// Huge pages have no device. The kernel takes the owner from the options, which name ids of the guest, and root of the
/// host where they name none.
Mounted mount_huge_pages(const nlohmann::json& request, const GuestProcess& process, std::uint64_t flags) {
    std::map<std::string, std::string> given{{"uid", "0"}, {"gid", "0"}};
    for (const auto& option : text::split(path_of(request, "options"), ',')) {
        const auto equals = option.find('=');
        if (option.empty()) continue;
        if (equals == std::string::npos) return {EINVAL, {}};
        given[option.substr(0, equals)] = option.substr(equals + 1);
    }
    std::string options;
    for (auto& [key, value] : given) {
        static const std::set<std::string> kKnown{"size", "min_size", "pagesize", "nr_inodes", "mode", "uid", "gid"};
        if (!kKnown.contains(key)) return {EINVAL, {}};
        if (key == "uid" || key == "gid") {
            const auto id = text::parse_int(value);
            const auto host = id ? host_id(process.read(key == "uid" ? "uid_map" : "gid_map"), *id) : std::nullopt;
            if (!host) return {EINVAL, {}};
            value = std::to_string(*host);
        }
        options += key + "=" + value + ",";
    }
    return make_mount(request, path_of(request, "source"), options, flags);
}

Outcome mount_filesystem(const nlohmann::json& request, const CallingProcess& caller, const GuestProcess& process) {
    if (!caller.has(CAP_SYS_ADMIN)) return kProceed;
    const auto path = path_of(request, "target");
    const auto target = caller.in_its_place([&](int& fd) {
        fd = ::open(path.c_str(), O_PATH | O_CLOEXEC | O_DIRECTORY);
        return fd < 0 ? errno : 0;
    });
    if (target.error != 0) return {.error = target.error};
    const auto flags = static_cast<std::uint64_t>(need_int(request, "flags"));
    const auto made = path_of(request, "type") == "hugetlbfs" ? mount_huge_pages(request, process, flags)
                                                              : mount_device(request, caller, process, flags);
    if (made.error != 0) return {.error = made.error};
    const auto mount = with_locked_flags(made.mount.get(), false, true);
    mount_attr others{};
    others.attr_set = other_attributes(flags);
    if (const int error = others.attr_set != 0 ? set_attributes(mount.get(), others) : 0; error != 0)
        return {.error = error};
    enter_mounts(caller, process);
    return {.error = attach(mount.get(), target.fd.get())};
}

Outcome carry_out(const nlohmann::json& request) {
    const GuestProcess process{5};
    const CallingProcess caller{process};
    const auto& call = need_text(request, "call");
    if (call == "mknod") return make_node(request, caller, process);
    if (call == "setxattr") return set_attribute(request, caller);
    if (call == "sched_setscheduler") return set_scheduler(request, caller, process);
    if (call == "mount") return mount_filesystem(request, caller, process);
    throw Error{ErrorCode::InvalidArgument, "helper: unknown call " + call};
}

} // namespace

void intercept_verb(const nlohmann::json& request, Reply& reply) {
    ::prctl(PR_SET_DUMPABLE, 0);
    if (::fcntl(5, F_SETFD, FD_CLOEXEC) != 0) throw_errno("helper: descriptors");
    const auto outcome = carry_out(request);
    reply.ok({{"proceed", outcome.proceed}, {"errno", outcome.error}, {"value", 0}});
}

} // namespace lxdcore::helper
