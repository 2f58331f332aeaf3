// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <lxdcore/api/instance.hpp>
#include <lxdcore/error.hpp>
#include <lxdcore/operation.hpp>

namespace lxdcore {

/// Names an instance.
struct InstanceRef {
    std::string project = "default";
    std::string name;
    auto operator<=>(const InstanceRef&) const = default;
};

/// A file of an instance as LXD's file API describes it. Ids are those inside the instance.
struct InstanceFile {
    std::int64_t uid = 0, gid = 0;
    std::uint32_t mode = 0; ///< permission bits
    std::string type;       ///< file, directory, symlink
    std::int64_t size = 0;  ///< bytes of a file, or of the path in a symlink
    api::Time modified;
    std::vector<std::string> entries; ///< directory: the names, sorted
    std::string target;               ///< symlink
    /// file: reads its bytes up to end of file; owned (closed) by whoever got the struct last
    std::shared_ptr<int> fd;
};

/// What PUT of a file does.
struct InstanceFilePush {
    std::string path;
    std::string type = "file"; ///< file, directory, symlink
    std::optional<std::int64_t> uid, gid;
    std::optional<std::uint32_t> mode;
    bool append = false;
    std::string symlink_target;
    int content_fd = -1; ///< file: read to its end from where it stands (borrowed); -1: empty
};

/// Life cycle of instances. Thread-safe; changes to one instance run one after another. All throw Error NotFound
/// "Instance not found" for an unknown instance, and StaleEtag where @p if_match is neither "" nor the etag() of what
/// is there. Methods that return an operation check what LXD checks before answering; what they are not said to throw
/// fails the operation: BadState "Instance is busy running a … operation", NoSpace, a bad configuration.
class LXDCORE_API InstanceService {
public:
    virtual ~InstanceService();

    // --- reading ---
    /// Sorted; none in an unknown project.
    virtual std::vector<std::string> names(const std::string& project) const = 0;
    using Visit = std::function<void(const api::Instance& instance, const api::InstanceState* state)>;
    /// Shows the instances of a project in the order of their names, with their state if @p with_state, else null. Each
    /// is made for its visit only, so that long lists cost little. @p visit runs on this thread; what it throws ends
    /// the list.
    virtual void each(const std::string& project, bool with_state, const Visit& visit) const = 0;
    /// What each() shows, without states.
    std::vector<api::Instance> list(const std::string& project) const;
    /// Stored configuration and last known state; never touches the container.
    virtual api::Instance get(const InstanceRef& ref) const = 0;
    /// What it uses now; of a stopped one the disk only. What cannot be read (a pool that is away) is left out.
    virtual api::InstanceState state(const InstanceRef& ref) const = 0;
    /// Of [architecture, config, devices, ephemeral, profiles].
    static std::string etag(const api::Instance& instance);

    // --- changing ---
    /// From an image of this server (source "image"), an instance or snapshot of it ("copy"), or empty ("none");
    /// without a name it gets one. @throws Error NotFound (project, alias, source), InvalidArgument (name, types),
    /// Internal for an unknown profile, Unsupported for virtual machines and other servers. A name that is taken fails
    /// the operation (AlreadyExists).
    virtual OperationPtr create(const std::string& project, const api::InstancesPost& request) = 0;
    /// Replaces what can be edited; or, with `restore`, configuration and content by those of a snapshot. A running one
    /// takes at once what it can; to be restored it is stopped, and started again. Waits up to 10 seconds for another
    /// change. @throws Error BadState "Instance is busy…", NotFound (profile), InvalidArgument (a key that nothing
    /// applies)
    virtual OperationPtr update(const InstanceRef& ref, const api::InstancePut& instance,
                                const std::string& if_match) = 0;
    /// As update(), but done when it returns, without `restore`, and what is absent stays. @throws Error Internal with
    /// what fails an update()'s operation as InvalidArgument, and what update() throws
    virtual void patch(const InstanceRef& ref, const api::InstancePatch& instance, const std::string& if_match) = 0;
    /// Gives a stopped one another name; with `migration` and `pool` its volume moves to that pool, under the name that
    /// it has or another. @throws Error AlreadyExists, InvalidArgument (name), Unsupported (to other servers and
    /// projects)
    virtual OperationPtr rename(const InstanceRef& ref, const api::InstancePost& request) = 0;
    /// With snapshots, backups and logs. @throws Error BadState "Instance is running". The operation fails "Container
    /// is protected" while security.protection.delete is on.
    virtual OperationPtr remove(const InstanceRef& ref) = 0;
    /// Actions start, stop, restart, freeze, unfreeze. `timeout` is in seconds, see there; `force` kills. @throws Error
    /// InvalidArgument "Unknown action…", Unsupported (stateful). The wrong state fails the operation.
    virtual OperationPtr change_state(const InstanceRef& ref, const api::InstanceStatePut& request) = 0;
    /// One operation for all instances of a project that @p request can apply to; its failure names those that failed.
    /// @throws Error NotFound "Project not found", and as change_state()
    virtual OperationPtr change_all_states(const std::string& project, const api::InstanceStatePut& request) = 0;

    // --- running commands ---
    /// The caller's own ends of a command's streams; -1: /dev/null. Borrowed until exec() returns.
    struct ExecStreams {
        int in = -1, out = -1, err = -1;
    };
    /// As the REST API: websocket channels ("0","1","2","control") or, without wait_for_websocket, recorded output or
    /// none. Metadata ends with {"return": code}. Channels that nobody takes within 5 seconds fail it. @throws Error
    /// BadState "Instance is not running", "Instance is frozen"
    virtual OperationPtr exec(const InstanceRef& ref, const api::InstanceExecPost& request) = 0;
    /// On the caller's descriptors, which stay open. @throws Error as the other; InvalidArgument from a Core for an
    /// interactive command, which needs a terminal of its own
    virtual OperationPtr exec(const InstanceRef& ref, const api::InstanceExecPost& request,
                              const ExecStreams& streams) = 0;

    // --- console and logs ---
    /// Interactive console: websocket channels "0" and "control". @p width in columns, @p height in rows; 0: as it is.
    /// @throws Error BadState when not running or frozen. Who has it keeps it: another gets an error text and the end.
    virtual OperationPtr console(const InstanceRef& ref, int width, int height) = 0;
    /// What the console showed since the start, "" for nothing. @throws Error TooLarge for more than 16 MiB
    virtual std::string console_log(const InstanceRef& ref) const = 0;
    /// Empties that, also while the instance runs.
    virtual void clear_console_log(const InstanceRef& ref) = 0;
    /// Names that open_log() takes: lxc.log, lxc.conf, recorded output of commands.
    virtual std::vector<std::string> logs(const InstanceRef& ref) const = 0;
    /// A descriptor for reading, the caller's to close. @throws Error InvalidArgument (a name as no log has), NotFound
    virtual int open_log(const InstanceRef& ref, const std::string& name) const = 0;
    /// @throws Error as open_log(), and InvalidArgument for lxc.log and lxc.conf
    virtual void remove_log(const InstanceRef& ref, const std::string& name) = 0;

    // --- files ---
    /// Of the running instance, or of its volume: links and paths are those inside and never lead out. With @p
    /// head_only no content and no list. @throws Error NotFound "Not Found", Forbidden, TooLarge (64 MiB of names)
    virtual InstanceFile pull_file(const InstanceRef& ref, const std::string& path, bool head_only = false) const = 0;
    /// Makes or replaces a file, makes a directory or symlink; parents must be there. What is new gets `mode` (0644,
    /// 0755) and the ids (root); a file that is there keeps its own. @throws Error NotFound, Forbidden, NoSpace,
    /// InvalidArgument; Internal with the kernel's text
    virtual void push_file(const InstanceRef& ref, const InstanceFilePush& push) = 0;
    /// A file or an empty directory. @throws Error NotFound, Forbidden, Internal with the kernel's text
    virtual void remove_file(const InstanceRef& ref, const std::string& path) = 0;
    /// A session of SFTP version 3 on the instance's files, as its root sees them: the client's end of a stream socket.
    /// Ends (the socket does) with its last owner, and when the instance starts, stops or goes.
    virtual std::shared_ptr<const int> sftp(const InstanceRef& ref) = 0;

    // --- the whole set ---
    /// boot.autostart and last state, by priority, as after a boot of the host. Returns at once.
    virtual void start_wanted() = 0;
    virtual bool settled() const = 0; ///< true when start_wanted() has tried everything
    /// Host shutdown: asks all instances to stop, by boot.stop.priority, and kills those that have not when their
    /// boot.host_shutdown_timeout, or else @p patience, is over. Nothing can be started afterwards; the power state is
    /// kept, so that start_wanted() of the next process starts the same set.
    virtual void stop_all(std::chrono::seconds patience) = 0;
};

} // namespace lxdcore
