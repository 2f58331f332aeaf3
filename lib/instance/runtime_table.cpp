// SPDX-License-Identifier: Apache-2.0
#include "instance/runtime_table.hpp"

#include <sys/epoll.h>
#include <sys/syscall.h>

#include <condition_variable>
#include <mutex>

#include "util/dir.hpp"
#include "util/text.hpp"

namespace lxdcore::instance {

namespace {

UniqueFd open_pidfd(int pid) {
    UniqueFd fd{static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))};
    if (!fd) throw_errno("pidfd of process " + std::to_string(pid));
    return fd;
}

int parent_of(int pid) {
    const auto stat = Dir::open("/proc").read(std::to_string(pid) + "/stat");
    // The name in parentheses may hold anything, also ')'.
    const auto fields = text::split(std::string_view{stat}.substr(stat.rfind(')') + 2), ' ');
    const auto parent = fields.size() > 1 ? text::parse_int(fields[1]) : std::nullopt;
    if (!parent || *parent <= 1) throw Error{ErrorCode::NotFound, "no monitor process"};
    return static_cast<int>(*parent);
}

} // namespace

struct RuntimeTable::Impl : std::enable_shared_from_this<RuntimeTable::Impl> {
    struct Entry {
        Running running;
        Reactor::Token monitor_watch = 0;
    };
    Impl(Reactor& r, Callbacks c) : reactor{r}, callbacks{std::move(c)} {}

    Reactor& reactor;
    Callbacks callbacks;
    mutable std::mutex mutex;
    std::condition_variable changed;
    std::map<InstanceRef, Entry> entries;
    std::uint64_t next = 1;
    bool interrupted = false;

    std::map<InstanceRef, Entry>::iterator by_generation(std::uint64_t generation) {
        auto it = entries.begin();
        while (it != entries.end() && it->second.running.generation != generation)
            ++it;
        return it;
    }

    void monitor_ended(std::uint64_t generation) {
        std::unique_lock lock{mutex};
        const auto it = by_generation(generation);
        if (it == entries.end()) return;
        const auto ref = it->first;
        const auto watch = it->second.monitor_watch;
        lock.unlock();
        // The entry names the watch until this is over: who destroys the table waits for it by cancelling.
        callbacks.ended(ref, generation);
        reactor.cancel(watch);
        lock.lock();
        if (const auto left = by_generation(generation); left != entries.end()) left->second.monitor_watch = 0;
    }
};

RuntimeTable::RuntimeTable(Reactor& reactor, Callbacks callbacks)
    : impl_{std::make_shared<Impl>(reactor, std::move(callbacks))} {}

RuntimeTable::~RuntimeTable() {
    std::vector<Reactor::Token> tokens;
    {
        const std::scoped_lock lock{impl_->mutex};
        for (auto& [ref, entry] : impl_->entries)
            if (entry.monitor_watch != 0) tokens.push_back(entry.monitor_watch);
    }
    for (const auto token : tokens)
        impl_->reactor.cancel(token);
}

Running RuntimeTable::add(const InstanceRef& ref, int init_pid, IdMap idmap, std::string cgroup) {
    Impl::Entry entry;
    auto& running = entry.running;
    running.init_pidfd = std::make_shared<UniqueFd>(open_pidfd(init_pid));
    running.monitor_pid = parent_of(init_pid);
    running.monitor_pidfd = std::make_shared<UniqueFd>(open_pidfd(running.monitor_pid));
    // The pidfds pin the processes: the same parent now means that neither number was reused meanwhile.
    if (parent_of(init_pid) != running.monitor_pid) throw Error{ErrorCode::NotFound, "the monitor has ended"};
    running.init_pid = init_pid;
    running.pid_namespace = pid_namespaces(init_pid, running.init_pidfd->get()).front();
    running.idmap = std::move(idmap);
    running.cgroup = std::move(cgroup);

    const std::scoped_lock lock{impl_->mutex};
    const auto generation = impl_->next++;
    running.generation = generation;
    const auto fd = running.monitor_pidfd;
    auto [it, added] = impl_->entries.insert_or_assign(ref, std::move(entry));
    it->second.monitor_watch =
        impl_->reactor.watch(fd->get(), EPOLLIN, [weak = std::weak_ptr<Impl>{impl_}, fd, generation](std::uint32_t) {
            if (const auto self = weak.lock()) self->monitor_ended(generation);
        });
    return it->second.running;
}

void RuntimeTable::erase(const InstanceRef& ref, std::uint64_t generation) {
    const std::scoped_lock lock{impl_->mutex};
    const auto it = impl_->entries.find(ref);
    if (it != impl_->entries.end() && it->second.running.generation == generation) impl_->entries.erase(it);
    impl_->changed.notify_all();
}

std::optional<Running> RuntimeTable::find(const InstanceRef& ref) const {
    const std::scoped_lock lock{impl_->mutex};
    const auto it = impl_->entries.find(ref);
    if (it == impl_->entries.end()) return std::nullopt;
    return it->second.running;
}

std::optional<std::pair<InstanceRef, Running>> RuntimeTable::in_namespace(const NamespaceId& id) const {
    const std::scoped_lock lock{impl_->mutex};
    for (const auto& [ref, entry] : impl_->entries)
        if (entry.running.pid_namespace == id) return std::pair{ref, entry.running};
    return std::nullopt;
}

api::Status RuntimeTable::status(const InstanceRef& ref) const {
    const std::scoped_lock lock{impl_->mutex};
    const auto it = impl_->entries.find(ref);
    if (it == impl_->entries.end()) return api::Status::Stopped;
    return it->second.running.frozen ? api::Status::Frozen : api::Status::Running;
}

std::vector<InstanceRef> RuntimeTable::all() const {
    const std::scoped_lock lock{impl_->mutex};
    std::vector<InstanceRef> out;
    for (const auto& [ref, entry] : impl_->entries)
        out.push_back(ref);
    return out;
}

void RuntimeTable::set_frozen(const InstanceRef& ref, bool frozen) {
    const std::scoped_lock lock{impl_->mutex};
    if (const auto it = impl_->entries.find(ref); it != impl_->entries.end()) it->second.running.frozen = frozen;
}

bool RuntimeTable::request_stop(const InstanceRef& ref, bool keep) {
    const std::scoped_lock lock{impl_->mutex};
    const auto it = impl_->entries.find(ref);
    if (it == impl_->entries.end()) return false;
    it->second.running.stop_requested = true;
    it->second.running.keep = keep;
    return true;
}

void RuntimeTable::withdraw_stop(const InstanceRef& ref) {
    const std::scoped_lock lock{impl_->mutex};
    const auto it = impl_->entries.find(ref);
    if (it == impl_->entries.end()) return;
    it->second.running.stop_requested = false;
    it->second.running.keep = false;
}

bool RuntimeTable::wait_gone(const InstanceRef& ref, std::uint64_t generation,
                             std::optional<std::chrono::milliseconds> timeout) {
    std::unique_lock lock{impl_->mutex};
    const auto gone = [&] {
        const auto it = impl_->entries.find(ref);
        return it == impl_->entries.end() || it->second.running.generation != generation;
    };
    const auto done = [&] { return impl_->interrupted || gone(); };
    if (timeout)
        impl_->changed.wait_for(lock, *timeout, done);
    else
        impl_->changed.wait(lock, done);
    return gone();
}

void RuntimeTable::interrupt() {
    const std::scoped_lock lock{impl_->mutex};
    impl_->interrupted = true;
    impl_->changed.notify_all();
}

} // namespace lxdcore::instance
