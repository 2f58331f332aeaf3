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
    std::int64_t size = 0;
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
    int content_fd = -1; ///< file: read to its end (borrowed); -1: empty
};

/// Life cycle of instances. Thread-safe; changes to one instance run one after another.
/// All throw Error NotFound "Instance not found" for an unknown instance. Methods that return an operation check what
/// LXD checks before answering, the rest fails the operation.
class LXDCORE_API InstanceService {
public:
    virtual ~InstanceService();

    // --- reading ---
    virtual std::vector<std::string> names(const std::string& project) const = 0;
    using Visit = std::function<void(const api::Instance& instance, const api::InstanceState* state)>;
    /// Shows the instances of a project in the order of their names, with their state if @p with_state, else null. Each
    /// is made for its visit only, so that long lists cost little.
    virtual void each(const std::string& project, bool with_state, const Visit& visit) const = 0;
    std::vector<api::Instance> list(const std::string& project) const;
    /// Stored configuration and last known state; never touches the container.
    virtual api::Instance get(const InstanceRef& ref) const = 0;
    virtual api::InstanceState state(const InstanceRef& ref) const = 0;
    static std::string etag(const api::Instance& instance);

    // --- changing ---
    virtual OperationPtr create(const std::string& project, const api::InstancesPost& request) = 0;
    virtual OperationPtr update(const InstanceRef& ref, const api::InstancePut& instance,
                                const std::string& if_match) = 0;
    virtual void patch(const InstanceRef& ref, const api::InstancePatch& instance, const std::string& if_match) = 0;
    virtual OperationPtr rename(const InstanceRef& ref, const api::InstancePost& request) = 0;
    virtual OperationPtr remove(const InstanceRef& ref) = 0;
    virtual OperationPtr change_state(const InstanceRef& ref, const api::InstanceStatePut& request) = 0;
    /// One operation for all instances of a project that @p request can apply to; its failure names those that failed.
    virtual OperationPtr change_all_states(const std::string& project, const api::InstanceStatePut& request) = 0;

    // --- running commands ---
    /// The caller's own ends of a command's streams; -1: /dev/null. Borrowed until exec() returns.
    struct ExecStreams {
        int in = -1, out = -1, err = -1;
    };
    /// As the REST API: websocket channels ("0","1","2","control") or, without wait_for_websocket, recorded output or
    /// none. Metadata ends with {"return": code}.
    virtual OperationPtr exec(const InstanceRef& ref, const api::InstanceExecPost& request) = 0;
    /// In process, on the caller's file descriptors.
    virtual OperationPtr exec(const InstanceRef& ref, const api::InstanceExecPost& request,
                              const ExecStreams& streams) = 0;

    // --- console and logs ---
    /// Interactive console: websocket channels "0" and "control".
    virtual OperationPtr console(const InstanceRef& ref, int width, int height) = 0;
    virtual std::string console_log(const InstanceRef& ref) const = 0;
    virtual void clear_console_log(const InstanceRef& ref) = 0;
    virtual std::vector<std::string> logs(const InstanceRef& ref) const = 0;
    virtual int open_log(const InstanceRef& ref, const std::string& name) const = 0; ///< fd, the caller's to close
    virtual void remove_log(const InstanceRef& ref, const std::string& name) = 0;

    // --- files ---
    virtual InstanceFile pull_file(const InstanceRef& ref, const std::string& path, bool head_only = false) const = 0;
    virtual void push_file(const InstanceRef& ref, const InstanceFilePush& push) = 0;
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
