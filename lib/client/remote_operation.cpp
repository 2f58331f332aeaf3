// SPDX-License-Identifier: Apache-2.0
#include "client/remote_operation.hpp"

#include <boost/asio/detached.hpp>

#include "client/channels.hpp"
#include "client/http.hpp"

namespace lxdcore::client {

namespace {

std::string text_of(const nlohmann::json& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

api::Status status_of(const nlohmann::json& object) {
    return static_cast<api::Status>(object.value("status_code", static_cast<int>(api::Status::Failure)));
}

nlohmann::json checked(nlohmann::json object) {
    if (!object.is_object() || text_of(object, "id").empty())
        throw Error{ErrorCode::Internal, "The server's answer is not an operation"};
    return object;
}

} // namespace

RemoteOperation::RemoteOperation(std::shared_ptr<Rest> rest, nlohmann::json object)
    : rest_{std::move(rest)}, id_{text_of(checked(object), "id")}, project_{"default"} {
    state_.told = state_.ended = api::is_final(status_of(object));
    state_.object = std::move(object);
}

/// The latest that is known; what has ended is not asked for again.
nlohmann::json RemoteOperation::current() const {
    {
        const std::lock_guard lock{mutex_};
        if (state_.ended) return state_.object;
    }
    nlohmann::json fresh;
    try {
        fresh = rest_->get(Url{"/1.0/operations"} / id_);
    } catch (const Error& error) {
        if (error.code() != ErrorCode::NotFound) throw;
    }
    const std::lock_guard lock{mutex_};
    if (state_.ended || state_.told || !fresh.is_object()) return state_.object;
    // The end is announced by await_end() alone, so that wait() and status() agree.
    if (state_.watched && api::is_final(status_of(fresh))) return state_.object;
    if (api::is_final(status_of(fresh))) state_.told = state_.ended = true;
    state_.object.update(fresh);
    return state_.object;
}

api::Status RemoteOperation::status() const {
    const auto object = current();
    const std::lock_guard lock{mutex_};
    return state_.told && !state_.ended ? api::Status::Running : status_of(object);
}

std::string RemoteOperation::error() const {
    const std::lock_guard lock{mutex_};
    return text_of(state_.object, "err");
}

ErrorCode RemoteOperation::error_code() const {
    const std::lock_guard lock{mutex_};
    return state_.code;
}

nlohmann::json RemoteOperation::to_json(bool with_secrets) const {
    auto object = current();
    if (!with_secrets && object.contains("metadata") && object["metadata"].is_object()) object["metadata"].erase("fds");
    return object;
}

nlohmann::json RemoteOperation::secrets() const {
    const std::lock_guard lock{mutex_};
    const auto& metadata = state_.object.value("metadata", nlohmann::json{});
    return metadata.is_object() ? metadata.value("fds", nlohmann::json::object()) : nlohmann::json::object();
}

bool RemoteOperation::wait(std::optional<std::chrono::milliseconds> timeout) const {
    if (rest_->http()->thread().here())
        throw Error{ErrorCode::BadState, "A callback of the client cannot wait for the client"};
    watch();
    std::unique_lock lock{mutex_};
    const auto ended = [this] { return state_.ended; };
    if (timeout) return changed_.wait_for(lock, *timeout, ended);
    changed_.wait(lock, ended);
    return true;
}

void RemoteOperation::on_end(std::function<void()> done) {
    {
        std::unique_lock lock{mutex_};
        if (!state_.ended) {
            state_.done.push_back(std::move(done));
            lock.unlock();
            watch();
            return;
        }
    }
    done();
}

void RemoteOperation::cancel() { rest_->call("DELETE", Url{"/1.0/operations"} / id_); }

bool RemoteOperation::knows(const std::string& secret) const {
    for (const auto& entry : secrets())
        if (entry.is_string() && entry.get<std::string>() == secret) return true;
    return false;
}

Channel RemoteOperation::connect(const std::string& secret) {
    const auto fds = secrets();
    const bool control = fds.contains("control") && fds["control"] == secret;
    auto url = Url{"/1.0/operations"} / id_ / "websocket";
    auto socket = std::make_shared<WebSocket>(rest_->http());
    socket->connect(url.query("secret", secret).str());
    return control ? control_channel(std::move(socket)) : data_channel(std::move(socket));
}

void RemoteOperation::watch() const {
    {
        const std::lock_guard lock{mutex_};
        if (state_.watched || state_.ended) return;
        state_.watched = true;
    }
    auto& thread = rest_->http()->thread();
    thread.start();
    asio::co_spawn(
        thread.io(),
        [](std::shared_ptr<const RemoteOperation> self) -> Awaitable<void> {
            co_await self->await_end();
        }(shared_from_this()),
        asio::detached);
}

void RemoteOperation::then(Then then) {
    const std::lock_guard lock{mutex_};
    state_.then = std::move(then);
}

Awaitable<void> RemoteOperation::await_end() const {
    nlohmann::json object;
    std::string failure;
    auto code = ErrorCode::Internal;
    try {
        // GCC 12 destroys temporaries of a co_await twice: everything has a name here.
        HttpRequest request{"GET", (Url{"/1.0/operations"} / id_ / "wait").str()};
        const auto reply = co_await rest_->http()->exchange(std::move(request), std::chrono::milliseconds{0});
        object = metadata_of(reply);
        Then then;
        {
            const std::lock_guard lock{mutex_};
            then = std::move(state_.then);
        }
        if (then && object.is_object() && status_of(object) == api::Status::Success) co_await then(object);
    } catch (const Error& error) {
        failure = error.what();
        code = error.code();
    } catch (const std::exception& error) {
        failure = error.what();
    }
    std::unique_lock lock{mutex_};
    if (object.is_object()) {
        // Secrets are not told twice.
        if (const auto fds = state_.object.value("metadata", nlohmann::json{}); fds.is_object() && fds.contains("fds"))
            if (object["metadata"].is_object()) object["metadata"]["fds"] = fds["fds"];
        state_.object.update(object);
    }
    if (!failure.empty()) {
        state_.code = code;
        state_.object["err"] = failure;
        state_.object["status"] = "Failure";
        state_.object["status_code"] = static_cast<int>(api::Status::Failure);
    }
    state_.told = true;
    end_if_told(lock);
}

void RemoteOperation::hold() {
    const std::lock_guard lock{mutex_};
    ++state_.holds;
}

void RemoteOperation::release() {
    std::unique_lock lock{mutex_};
    --state_.holds;
    end_if_told(lock);
}

void RemoteOperation::end_if_told(std::unique_lock<std::mutex>& lock) const {
    if (!state_.told || state_.ended || state_.holds > 0) return;
    state_.ended = true;
    auto done = std::move(state_.done);
    state_.done.clear();
    changed_.notify_all();
    lock.unlock();
    for (const auto& call : done)
        call();
}

OperationPtr RemoteOperations::get(const std::string& id, const Caller&) const { return find(id); }

OperationPtr RemoteOperations::find(const std::string& id) const {
    return std::make_shared<RemoteOperation>(rest_, rest_->get(Url{"/1.0/operations"} / id));
}

std::vector<OperationPtr> RemoteOperations::list(const Caller&, const std::string& project) const {
    Url url{"/1.0/operations"};
    url.query("recursion", "1");
    if (project.empty())
        url.query("all-projects", "true");
    else
        url.project(project);
    std::vector<OperationPtr> operations;
    const auto by_status = rest_->get(url); // items() refers to it
    for (const auto& [status, list] : by_status.items())
        for (const auto& object : list)
            operations.push_back(std::make_shared<RemoteOperation>(rest_, object));
    return operations;
}

} // namespace lxdcore::client
