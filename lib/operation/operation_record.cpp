// SPDX-License-Identifier: Apache-2.0
#include "operation/operation_record.hpp"

#include <array>

#include "operation/operation_types.hpp"
#include "util/text.hpp"

namespace lxdcore {

Operation::~Operation() = default;

ErrorCode Operation::error_code() const { return ErrorCode::Internal; }

nlohmann::json Operation::result() const {
    wait();
    const auto ended = status();
    if (ended == api::Status::Cancelled) throw Error{ErrorCode::Cancelled, "Operation cancelled"};
    if (ended != api::Status::Success) throw Error{error_code(), error()};
    auto metadata = to_json(false)["metadata"];
    return metadata.is_object() ? metadata : nlohmann::json::object();
}

OperationContext::~OperationContext() = default;
OperationHandle::~OperationHandle() = default;
OperationService::~OperationService() = default;

namespace {

constexpr std::size_t secret_bytes = 32;
/// Metadata of websocket and token operations that opens something for whoever knows it (R27).
constexpr std::array<const char*, 5> secret_keys{"fds", "control", "fs", "criu", "secret"};

const char* class_name(OperationClass klass) {
    switch (klass) {
    case OperationClass::Task:
        return "task";
    case OperationClass::Websocket:
        return "websocket";
    case OperationClass::Token:
        break;
    }
    return "token";
}

} // namespace

OperationRecord::OperationRecord(OperationOptions options, Caller caller, EventService& events)
    : id_{text::uuid4()}, options_{std::move(options)}, caller_{std::move(caller)}, events_{events},
      created_{api::Time::now()}, updated_{created_}, may_cancel_{options_.klass == OperationClass::Token} {}

api::Status OperationRecord::status() const {
    const std::lock_guard lock{mutex_};
    return status_;
}

std::string OperationRecord::error() const {
    const std::lock_guard lock{mutex_};
    return error_;
}

ErrorCode OperationRecord::error_code() const {
    const std::lock_guard lock{mutex_};
    return error_code_;
}

nlohmann::json OperationRecord::to_json(bool with_secrets) const {
    const std::lock_guard lock{mutex_};
    return json_locked(with_secrets);
}

nlohmann::json OperationRecord::json_locked(bool with_secrets) const {
    nlohmann::json metadata = metadata_;
    if (!with_secrets && options_.klass != OperationClass::Task && metadata.is_object()) {
        for (const char* key : secret_keys)
            metadata.erase(key);
    }
    nlohmann::json resources;
    for (const auto& [kind, paths] : options_.resources)
        resources[kind] = paths.empty() ? nlohmann::json{} : nlohmann::json(paths);
    return {{"id", id_},
            {"class", class_name(options_.klass)},
            {"description", operation_description(options_.type)},
            {"created_at", created_.str()},
            {"updated_at", updated_.str()},
            {"status", api::name(status_)},
            {"status_code", static_cast<int>(status_)},
            {"resources", std::move(resources)},
            {"metadata", std::move(metadata)},
            {"may_cancel", may_cancel_ && (options_.klass == OperationClass::Token || !api::is_final(status_))},
            {"err", error_},
            {"location", "none"}};
}

bool OperationRecord::wait(std::optional<std::chrono::milliseconds> timeout) const {
    std::unique_lock lock{mutex_};
    const auto done = [this] { return told_; };
    if (timeout) return ended_.wait_for(lock, *timeout, done);
    ended_.wait(lock, done);
    return true;
}

void OperationRecord::on_end(std::function<void()> done) {
    {
        const std::lock_guard lock{mutex_};
        if (!api::is_final(status_)) {
            on_end_.push_back(std::move(done));
            return;
        }
    }
    done();
}

void OperationRecord::cancel() {
    std::function<void()> call;
    {
        const std::lock_guard lock{mutex_};
        if (status_ != api::Status::Running && status_ != api::Status::Pending) {
            throw Error{ErrorCode::BadState, "Only running operations can be cancelled"};
        }
        if (!may_cancel_) throw Error{ErrorCode::BadState, "This operation can't be cancelled"};
        status_ = api::Status::Cancelling;
        call = cancel_;
    }
    publish();
    stop_.request_stop();
    if (call) call();
    if (options_.klass == OperationClass::Token) finish(api::Status::Cancelled, "");
}

void OperationRecord::interrupt() {
    if (options_.klass == OperationClass::Task) stop_.request_stop();
}

const OperationRecord::Slot* OperationRecord::find_slot_locked(const std::string& secret) const {
    const Slot* found = nullptr;
    for (const auto& slot : slots_) { // all of them, so that the time says nothing
        if (text::equal_constant_time(slot.secret, secret)) found = &slot;
    }
    return found;
}

bool OperationRecord::knows(const std::string& secret) const {
    const std::lock_guard lock{mutex_};
    return find_slot_locked(secret) != nullptr;
}

Channel OperationRecord::connect(const std::string& secret) {
    Channel channel;
    std::function<void()> connected;
    {
        const std::lock_guard lock{mutex_};
        if (options_.klass != OperationClass::Websocket) {
            throw Error{ErrorCode::BadState, "Only websocket operations can be connected"};
        }
        if (status_ != api::Status::Running) {
            throw Error{ErrorCode::BadState, "Only running operations can be connected"};
        }
        auto* slot = const_cast<Slot*>(find_slot_locked(secret));
        if (slot == nullptr) throw Error{ErrorCode::Forbidden, "permission denied"};
        if (slot->taken) throw Error{ErrorCode::BadState, "Websocket number already connected"};
        slot->taken = true;
        channel = slot->channel;
        connected = std::move(slot->on_connect);
    }
    if (connected) connected();
    return channel;
}

void OperationRecord::update_metadata(const nlohmann::json& object) {
    {
        const std::lock_guard lock{mutex_};
        if (api::is_final(status_)) return;
        if (!metadata_.is_object()) metadata_ = nlohmann::json::object();
        metadata_.update(object);
        updated_ = api::Time::now();
    }
    publish();
}

void OperationRecord::set_progress(const std::string& key, const std::string& text) { update_metadata({{key, text}}); }

void OperationRecord::refuse_cancel_from_here() {
    {
        const std::lock_guard lock{mutex_};
        if (status_ == api::Status::Cancelling) throw Error{ErrorCode::Cancelled, "The operation was cancelled"};
        may_cancel_ = false;
    }
    publish();
}

void OperationRecord::throw_if_cancelled() const {
    if (stop_.stop_requested()) throw Error{ErrorCode::Cancelled, "The operation was cancelled"};
}

bool OperationRecord::visible_to(const Caller& viewer) const {
    if (viewer.admin) return true;
    return !viewer.username.empty() && viewer.username == caller_.username && viewer.protocol == caller_.protocol;
}

void OperationRecord::allow_cancel(std::function<void()> cancel) {
    const std::lock_guard lock{mutex_};
    may_cancel_ = true;
    cancel_ = std::move(cancel);
}

std::string OperationRecord::add_channel(const std::string& name, Channel channel, std::function<void()> on_connect) {
    const std::lock_guard lock{mutex_};
    slots_.push_back({name, text::random_hex(secret_bytes), std::move(channel), std::move(on_connect)});
    return slots_.back().secret;
}

void OperationRecord::announce() { publish(); }

void OperationRecord::run() {
    {
        const std::lock_guard lock{mutex_};
        if (status_ != api::Status::Pending) return;
        status_ = api::Status::Running;
    }
    publish();
}

void OperationRecord::finish(api::Status status, const std::string& error, ErrorCode code) {
    std::vector<std::function<void()>> calls;
    std::vector<Slot> slots;
    std::function<void()> cancel;
    {
        const std::lock_guard order{publish_mutex_};
        {
            const std::lock_guard lock{mutex_};
            if (api::is_final(status_)) return;
            const bool cancelled = status_ == api::Status::Cancelling && status != api::Status::Success;
            status_ = cancelled ? api::Status::Cancelled : status;
            if (status_ == api::Status::Failure) {
                error_ = error;
                error_code_ = code;
            }
            calls.swap(on_end_);
            slots = std::exchange(slots_, {}); // what they captured must not live as long as the record
            cancel.swap(cancel_);
        }
        publish();
        const std::lock_guard lock{mutex_};
        told_ = true;
        ended_.notify_all();
    }
    for (const auto& call : calls)
        call();
}

void OperationRecord::publish() {
    if (!events_.wanted("operation")) return;
    const std::lock_guard order{publish_mutex_};
    nlohmann::json json;
    {
        const std::lock_guard lock{mutex_};
        json = json_locked(false);
    }
    events_.operation(options_.project, caller_.username, json);
}

} // namespace lxdcore
