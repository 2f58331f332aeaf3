// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <mutex>

#include <nlohmann/json.hpp>

#include <lxdcore/event.hpp>
#include <lxdcore/operation.hpp>

namespace lxdcore {

/// One operation: what clients see of it, what its work sees of it, and its channels. Thread-safe.
class OperationRecord : public Operation, public OperationContext {
public:
    OperationRecord(OperationOptions options, Caller caller, EventService& events);

    // --- Operation ---
    const std::string& id() const noexcept override { return id_; }
    const Caller& caller() const noexcept override { return caller_; }
    const std::string& project() const noexcept override { return options_.project; }
    api::Status status() const override;
    std::string error() const override;
    ErrorCode error_code() const override;
    nlohmann::json to_json(bool with_secrets) const override;
    bool wait(std::optional<std::chrono::milliseconds> timeout) const override;
    void on_end(std::function<void()> done) override;
    void cancel() override;
    Channel connect(const std::string& secret) override;
    bool knows(const std::string& secret) const override;

    // --- OperationContext ---
    std::stop_token stop_token() const override { return stop_.get_token(); }
    void update_metadata(const nlohmann::json& object) override;
    void set_progress(const std::string& key, const std::string& text) override;
    void refuse_cancel_from_here() override;
    void throw_if_cancelled() const override;

    // --- for the manager ---
    OperationClass klass() const noexcept { return options_.klass; }
    bool visible_to(const Caller& viewer) const;
    void allow_cancel(std::function<void()> cancel); ///< empty: the stop token only
    std::string add_channel(const std::string& name, Channel channel, std::function<void()> on_connect);
    void announce(); ///< Pending, to listeners
    void run();      ///< Pending → Running
    /// The process is about to end: work that asks for it gives up, whether it may be cancelled or not.
    void interrupt();
    /// The end; later ends are ignored. A cancelled operation ends as Cancelled unless it succeeded regardless.
    void finish(api::Status status, const std::string& error, ErrorCode code = ErrorCode::Internal);

private:
    struct Slot {
        std::string name, secret;
        Channel channel;
        std::function<void()> on_connect;
        bool taken = false;
    };

    void publish(); ///< what holds now, in the order of the changes
    nlohmann::json json_locked(bool with_secrets) const;
    const Slot* find_slot_locked(const std::string& secret) const;

    const std::string id_;
    const OperationOptions options_;
    const Caller caller_;
    EventService& events_;
    const api::Time created_;
    std::stop_source stop_;

    /// Held while listeners are told, so that they hear of changes in their order; recursive, because a listener may
    /// cancel. Taken before mutex_.
    std::recursive_mutex publish_mutex_;
    mutable std::mutex mutex_;
    mutable std::condition_variable ended_;
    bool told_ = false; ///< the end was published: only then wait() returns, so that nobody sees it before its event
    api::Status status_ = api::Status::Pending;
    std::string error_;
    ErrorCode error_code_ = ErrorCode::Internal;
    api::Time updated_;
    nlohmann::json metadata_; ///< null until something is known, as LXD shows it
    bool may_cancel_ = false;
    std::function<void()> cancel_;
    std::vector<std::function<void()>> on_end_;
    std::vector<Slot> slots_;
};

} // namespace lxdcore
