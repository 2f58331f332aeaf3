// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include <lxdcore/api/status.hpp>
#include <lxdcore/api/types.hpp>
#include <lxdcore/caller.hpp>
#include <lxdcore/error.hpp>

namespace lxdcore {

/// What an operation is on the wire.
enum class OperationClass { Task, Websocket, Token };

/// One end of an interactive operation, handed out once by Operation::connect(). Whoever holds it moves the bytes: the
/// daemon between a websocket and `fd`, a C++ program as it likes.
struct Channel {
    /// Data: read what the command writes and write what it reads; -1 for a control channel. Owned by the operation and
    /// valid until it ends; dup it to keep it longer.
    int fd = -1;
    bool readable = false; ///< the command's output can be read from fd; end of file ends the channel
    bool writable = false; ///< the command's input can be written to fd
    /// Call after the peer's end of input: closes the writing side (a pty gets nothing).
    std::function<void()> end_input;
    /// Control channel only: one decoded message of the client.
    std::function<void(const nlohmann::json&)> on_message;
    /// Call when the peer has gone, in either direction.
    std::function<void()> on_close;
    /// Set by the holder: who made the channel calls it when it must be closed from our side before its end of file. A
    /// control channel is closed by its holder when the operation ends (Operation::on_end).
    std::shared_ptr<std::function<void()>> close_request;
};

/// What an operation is, fixed when it is created.
struct OperationOptions {
    OperationClass klass = OperationClass::Task;
    int type = 0; ///< LXD's number of the kind (8: "Creating instance"); 0: none of these
    std::string project = "default";
    /// Kind of entity ("instances", "images", …) to paths ("/1.0/instances/c1").
    std::map<std::string, std::vector<std::string>> resources;
};

/// Work that takes time: Pending, Running, Cancelling, then Success, Failure or Cancelled. Knows no HTTP. Thread-safe.
/// Ended operations stay readable for at least five seconds. An OperationPtr may outlive its Core: its work, its
/// command or console has ended then; it can still be read and waited for, not cancelled or connected. One of a Client
/// keeps the connection and works on; its functions throw what a request does (Unavailable, …).
class LXDCORE_API Operation {
public:
    virtual ~Operation();
    virtual const std::string& id() const noexcept = 0; ///< a UUID
    virtual const Caller& caller() const noexcept = 0;  ///< who started it
    /// Whose it is; of a Client always "default".
    virtual const std::string& project() const noexcept = 0;
    /// As it is now.
    virtual api::Status status() const = 0;
    virtual std::string error() const = 0; ///< empty unless Failure
    /// Of a Failure. Internal when only its text is known, which is all that the wire tells of what failed at a server.
    virtual ErrorCode error_code() const;
    /// As LXD shows it: {id, class, description, created_at, updated_at, status, status_code, resources, metadata,
    /// may_cancel, err, location}. Secrets (metadata.fds) only when @p with_secrets.
    virtual nlohmann::json to_json(bool with_secrets = false) const = 0;
    /// Waits for the end; false when @p timeout passed first. Unset: no limit.
    virtual bool wait(std::optional<std::chrono::milliseconds> timeout = std::nullopt) const = 0;
    /// Waits for the end, and gives the metadata without secrets, as an object. @throws Error that the work ended with,
    /// Cancelled "Operation cancelled"
    nlohmann::json result() const;
    /// Calls @p done once, at the end, at once if it has ended already; on any thread, must not block.
    virtual void on_end(std::function<void()> done) = 0;
    /// @throws Error BadState "Only running operations can be cancelled", "This operation can't be cancelled"
    virtual void cancel() = 0;
    /// Takes the channel that @p secret belongs to; each can be taken once. Constant-time comparison.
    /// @throws Error Forbidden (wrong secret), BadState (not running, not a websocket operation, already connected)
    virtual Channel connect(const std::string& secret) = 0;
    /// True when @p secret is one of this operation's.
    virtual bool knows(const std::string& secret) const = 0;
};
using OperationPtr = std::shared_ptr<Operation>;

/// What the work sees of its operation. Thread-safe.
class LXDCORE_API OperationContext {
public:
    virtual ~OperationContext();
    virtual std::stop_token stop_token() const = 0; ///< fires when it is cancelled, and when the Core ends
    /// Merges an object into the metadata and tells listeners.
    virtual void update_metadata(const nlohmann::json& object) = 0;
    /// Progress in LXD's form: metadata "<key>": text, for instance
    /// set_progress("create_instance_from_image_unpack_progress", "Unpack: 12% (4.1MB/s)").
    virtual void set_progress(const std::string& key, const std::string& text) = 0;
    /// The rest runs to its end. @throws Error Cancelled when it is too late for that
    virtual void refuse_cancel_from_here() = 0;
    virtual void throw_if_cancelled() const = 0; ///< @throws Error Cancelled once stop_token() has fired
};

/// An operation whose end is reported by hand, for work that is driven by events and holds no thread (exec, console).
/// Thread-safe; if the last reference goes without an end, the operation fails. Must go before its Core.
class LXDCORE_API OperationHandle {
public:
    virtual ~OperationHandle();
    virtual OperationPtr operation() const = 0; ///< what clients see
    virtual OperationContext& context() = 0;    ///< valid as long as the handle
    /// Adds a channel under @p name ("0", "1", "2", "control"); returns its new 256-bit secret (hex). Before run().
    /// @p on_connect is called when the client took it.
    virtual std::string add_channel(const std::string& name, Channel channel, std::function<void()> on_connect) = 0;
    virtual void run() = 0; ///< Pending → Running
    /// Called for cancel(); without one the operation cannot be cancelled.
    virtual void on_cancel(std::function<void()> cancel) = 0;
    virtual void succeed() = 0;                     ///< the end; Cancelled when that was asked for
    virtual void fail(const std::string& text) = 0; ///< the end; only the first one counts
};

/// All operations of a core. Thread-safe. @throws Error Unavailable for new ones, once it ends
class LXDCORE_API OperationService {
public:
    using Work = std::function<void(OperationContext&)>;
    virtual ~OperationService();
    /// Runs @p work on the worker pool under the caller of this thread. A throw ends the operation as Failure with its
    /// text, Error Cancelled as Cancelled.
    virtual OperationPtr start(OperationOptions options, Work work) = 0;
    /// As start(), and can be cancelled: the work watches stop_token().
    virtual OperationPtr start_cancellable(OperationOptions options, Work work) = 0;
    /// Pending until OperationHandle::run().
    virtual std::shared_ptr<OperationHandle> create(OperationOptions options) = 0;
    /// @throws Error NotFound "Operation not found"; also when @p viewer may not see it (R27)
    virtual OperationPtr get(const std::string& id, const Caller& viewer) const = 0;
    /// Visible to @p viewer, newest last. @p project "": all.
    virtual std::vector<OperationPtr> list(const Caller& viewer, const std::string& project) const = 0;
    /// For websocket connections: by id and secret, whoever asks; the caller's identity is compared by the daemon. Null
    /// for an unknown one (from a Client: Error NotFound).
    virtual OperationPtr find(const std::string& id) const = 0;
    /// No new work; waits up to @p patience for what runs, then asks what is left to stop.
    virtual void drain(std::chrono::milliseconds patience) = 0;
    virtual std::size_t running() const = 0; ///< how many have not ended, without tokens
};

} // namespace lxdcore
