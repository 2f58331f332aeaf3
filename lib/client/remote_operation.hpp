// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>

#include <lxdcore/operation.hpp>

#include "client/asio.hpp"
#include "client/rest.hpp"

namespace lxdcore::client {

/// An operation of the server. Thread-safe.
class RemoteOperation final : public Operation, public std::enable_shared_from_this<RemoteOperation> {
public:
    /// What is done on the I/O thread after a success, before anybody hears of it; a throw makes it a failure.
    using Then = std::function<Awaitable<void>(nlohmann::json object)>;

    RemoteOperation(std::shared_ptr<Rest> rest, nlohmann::json object);

    const std::string& id() const noexcept override { return id_; }
    const Caller& caller() const noexcept override { return caller_; }
    const std::string& project() const noexcept override { return project_; }
    api::Status status() const override;
    std::string error() const override;
    ErrorCode error_code() const override;
    nlohmann::json to_json(bool with_secrets) const override;
    bool wait(std::optional<std::chrono::milliseconds> timeout) const override;
    void on_end(std::function<void()> done) override;
    void cancel() override;
    Channel connect(const std::string& secret) override;
    bool knows(const std::string& secret) const override;

    /// Asks the server for the end, in the background. Once.
    void watch() const;
    void then(Then then);
    /// The end is held back while somebody has something to do with it.
    void hold();
    void release();
    /// {"0": secret, …} as the server told us.
    nlohmann::json secrets() const;

private:
    struct State {
        nlohmann::json object;
        bool watched = false, told = false; ///< told: the server said how it ended
        bool ended = false;
        int holds = 0;
        ErrorCode code = ErrorCode::Internal; ///< of what failed on our side
        std::vector<std::function<void()>> done;
        Then then;
    };
    Awaitable<void> await_end() const;
    void end_if_told(std::unique_lock<std::mutex>& lock) const;
    nlohmann::json current() const;

    const std::shared_ptr<Rest> rest_;
    const std::string id_, project_;
    const Caller caller_;
    mutable std::mutex mutex_;
    mutable std::condition_variable changed_;
    mutable State state_;
};

class RemoteOperations final : public OperationService {
public:
    explicit RemoteOperations(std::shared_ptr<Rest> rest) : rest_{std::move(rest)} {}
    OperationPtr start(OperationOptions, Work) override { not_from_afar(); }
    OperationPtr start_cancellable(OperationOptions, Work) override { not_from_afar(); }
    std::shared_ptr<OperationHandle> create(OperationOptions) override { not_from_afar(); }
    OperationPtr get(const std::string& id, const Caller& viewer) const override;
    std::vector<OperationPtr> list(const Caller& viewer, const std::string& project) const override;
    OperationPtr find(const std::string& id) const override;
    void drain(std::chrono::milliseconds) override { not_from_afar(); }
    std::size_t running() const override { return list({}, "").size(); }

private:
    std::shared_ptr<Rest> rest_;
};

} // namespace lxdcore::client
