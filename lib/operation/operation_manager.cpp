// SPDX-License-Identifier: Apache-2.0
#include "operation/operation_manager.hpp"

#include <algorithm>

#include "operation/operation_record.hpp"

namespace lxdcore {

namespace {

using RecordPtr = std::shared_ptr<OperationRecord>;

constexpr std::chrono::seconds kept_after_end{5};

/// What is known of operations; outlives the manager as long as a handle does.
struct Registry {
    mutable std::mutex mutex;
    std::condition_variable fewer;
    std::vector<RecordPtr> records; ///< oldest first
    std::size_t running = 0;
    bool closing = false;

    RecordPtr find(const std::string& id) const {
        const std::lock_guard lock{mutex};
        const auto it =
            std::find_if(records.begin(), records.end(), [&](const auto& record) { return record->id() == id; });
        return it == records.end() ? nullptr : *it;
    }
    void forget(const OperationRecord* record) {
        RecordPtr dropped; // destroyed without the lock
        const std::lock_guard lock{mutex};
        const auto it = std::find_if(records.begin(), records.end(), [&](const auto& r) { return r.get() == record; });
        if (it == records.end()) return;
        dropped = std::move(*it);
        records.erase(it);
    }
    /// A token only waits for somebody who may never come: nothing waits for its end.
    static bool is_work(const OperationRecord& record) { return record.klass() != OperationClass::Token; }
    void add(RecordPtr record) {
        const std::lock_guard lock{mutex};
        if (closing) throw Error{ErrorCode::Unavailable, "LXD is shutting down"};
        if (is_work(*record)) ++running;
        records.push_back(std::move(record));
    }
    void ended(const OperationRecord& record) {
        if (!is_work(record)) return;
        {
            const std::lock_guard lock{mutex};
            --running;
        }
        fewer.notify_all();
    }
};

class Handle : public OperationHandle {
public:
    explicit Handle(RecordPtr record) : record_{std::move(record)} {}
    ~Handle() override { record_->finish(api::Status::Failure, "The operation was given up"); }
    OperationPtr operation() const override { return record_; }
    OperationContext& context() override { return *record_; }
    std::string add_channel(const std::string& name, Channel channel, std::function<void()> on_connect) override {
        return record_->add_channel(name, std::move(channel), std::move(on_connect));
    }
    void run() override {
        record_->announce();
        record_->run();
    }
    void on_cancel(std::function<void()> cancel) override { record_->allow_cancel(std::move(cancel)); }
    void succeed() override {
        // Cancelled work that was stopped cleanly has still not done what was asked for.
        const bool cancelled = record_->stop_token().stop_requested();
        record_->finish(cancelled ? api::Status::Cancelled : api::Status::Success, "");
    }
    void fail(const std::string& text) override { record_->finish(api::Status::Failure, text); }

private:
    RecordPtr record_;
};

class OperationManager : public OperationService {
public:
    OperationManager(EventService& events, WorkerPool& pool, Reactor& reactor, const Logger& log)
        : events_{events}, pool_{pool}, reactor_{reactor}, log_{log} {}

    OperationPtr start(OperationOptions options, Work work) override {
        return start(std::move(options), std::move(work), false);
    }
    OperationPtr start_cancellable(OperationOptions options, Work work) override {
        return start(std::move(options), std::move(work), true);
    }
    std::shared_ptr<OperationHandle> create(OperationOptions options) override {
        return std::make_shared<Handle>(make(std::move(options)));
    }

    OperationPtr get(const std::string& id, const Caller& viewer) const override {
        const auto record = registry_->find(id);
        if (!record || !record->visible_to(viewer)) throw Error{ErrorCode::NotFound, "Operation not found"};
        return record;
    }

    std::vector<OperationPtr> list(const Caller& viewer, const std::string& project) const override {
        const std::lock_guard lock{registry_->mutex};
        std::vector<OperationPtr> found;
        for (const auto& record : registry_->records) {
            if (!project.empty() && record->project() != project) continue;
            if (record->visible_to(viewer)) found.push_back(record);
        }
        return found;
    }

    OperationPtr find(const std::string& id) const override { return registry_->find(id); }

    void drain(std::chrono::milliseconds patience) override {
        std::unique_lock lock{registry_->mutex};
        registry_->closing = true;
        registry_->fewer.wait_for(lock, patience, [this] { return registry_->running == 0; });
        const auto left = registry_->records;
        lock.unlock();
        // Whoever ends now does not wait for an archive to be packed: that is undone.
        for (const auto& record : left)
            record->interrupt();
    }

    std::size_t running() const override {
        const std::lock_guard lock{registry_->mutex};
        return registry_->running;
    }

private:
    RecordPtr make(OperationOptions options) {
        auto record = std::make_shared<OperationRecord>(std::move(options), CallerScope::current(), events_);
        registry_->add(record);
        // Weak: the registry holds the record.
        record->on_end([weak = std::weak_ptr{registry_}, raw = record.get(), &reactor = reactor_] {
            const auto registry = weak.lock();
            if (!registry) return;
            registry->ended(*raw);
            reactor.after(kept_after_end, [weak, raw] {
                if (const auto still = weak.lock()) still->forget(raw);
            });
        });
        return record;
    }

    OperationPtr start(OperationOptions options, Work work, bool cancellable) {
        auto record = make(std::move(options));
        if (cancellable) record->allow_cancel({});
        record->announce();
        record->run();
        pool_.post([&log = log_, record, work = std::move(work), internal = !CallerScope::present()] {
            std::optional<CallerScope> scope;
            if (!internal) scope.emplace(record->caller());
            perform(*record, work, log);
        });
        return record;
    }

    static void perform(OperationRecord& record, const Work& work, const Logger& log) {
        try {
            record.throw_if_cancelled();
            work(record);
            record.finish(api::Status::Success, "");
        } catch (const Error& error) {
            record.finish(error.code() == ErrorCode::Cancelled ? api::Status::Cancelled : api::Status::Failure,
                          error.what(), error.code());
        } catch (const std::exception& failure) {
            log.error("Operation failed unexpectedly", {{"operation", record.id()}, {"err", failure.what()}});
            record.finish(api::Status::Failure, failure.what());
        }
    }

    EventService& events_;
    WorkerPool& pool_;
    Reactor& reactor_;
    const Logger& log_;
    std::shared_ptr<Registry> registry_ = std::make_shared<Registry>();
};

} // namespace

std::unique_ptr<OperationService> make_operation_service(EventService& events, WorkerPool& pool, Reactor& reactor,
                                                         const Logger& log) {
    return std::make_unique<OperationManager>(events, pool, reactor, log);
}

} // namespace lxdcore
