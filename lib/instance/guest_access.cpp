// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <thread>

#include "instance/guest_console.hpp"
#include "instance/guest_exec.hpp"
#include "instance/guest_files.hpp"
#include "instance/guest_sftp.hpp"
#include "util/locked.hpp"

namespace lxdcore::instance {

namespace {

/// What runs, to be ended with its instance; a session that has ended leaves an empty pointer.
template <typename Session>
class Sessions {
public:
    std::shared_ptr<Session> add(std::shared_ptr<Session> session) {
        auto list = list_.lock();
        std::erase_if(*list, [](const auto& old) { return old.expired(); });
        list->push_back(session);
        return session;
    }
    template <typename Match>
    void kill(const Match& match) {
        std::vector<std::shared_ptr<Session>> found;
        {
            auto list = list_.lock();
            for (const auto& weak : *list)
                if (auto session = weak.lock(); session && match(*session)) found.push_back(std::move(session));
        }
        for (const auto& session : found)
            session->kill();
    }

    /// Waits a moment for what was killed: it refers to the services below.
    void wait_until_gone() {
        const auto gone = [&] {
            auto list = list_.lock();
            return std::all_of(list->begin(), list->end(), [](const auto& weak) { return weak.expired(); });
        };
        for (int i = 0; i < 300 && !gone(); ++i)
            std::this_thread::sleep_for(std::chrono::milliseconds{10});
    }

private:
    Locked<std::vector<std::weak_ptr<Session>>> list_;
};

class GuestAccessImpl : public GuestAccess {
public:
    explicit GuestAccessImpl(const Services& services) : services_{services} {}
    ~GuestAccessImpl() override {
        exec_.kill([](const auto&) { return true; });
        consoles_.kill([](const auto&) { return true; });
        sftp_.kill([](const auto&) { return true; });
        exec_.wait_until_gone();
        consoles_.wait_until_gone();
    }

    OperationPtr exec(const RunningGuest& guest, const api::InstanceExecPost& request) override {
        return exec_.add(std::make_shared<ExecSession>(services_, guest, request))->create();
    }
    OperationPtr exec(const RunningGuest& guest, const api::InstanceExecPost& request,
                      const InstanceService::ExecStreams& streams) override {
        return exec_.add(std::make_shared<ExecSession>(services_, guest, request))->create(streams);
    }
    OperationPtr console(const RunningGuest& guest, int width, int height) override {
        return consoles_.add(std::make_shared<ConsoleSession>(services_, guest))->create(width, height);
    }
    InstanceFile pull(const InstanceRef& ref, const std::optional<RunningGuest>& guest, const Dir* root,
                      const IdMap& disk_idmap, const std::string& path, bool head_only) override {
        auto file = pull_guest_file(services_.helper, {guest, root, disk_idmap}, path, head_only);
        if (!head_only) tell(ref, "instance-file-retrieved", path);
        return file;
    }
    void push(const InstanceRef& ref, const std::optional<RunningGuest>& guest, const Dir* root,
              const IdMap& disk_idmap, const InstanceFilePush& push) override {
        push_guest_file(services_.helper, {guest, root, disk_idmap}, push);
        tell(ref, "instance-file-pushed", push.path);
    }
    void remove(const InstanceRef& ref, const std::optional<RunningGuest>& guest, const Dir* root,
                const IdMap& disk_idmap, const std::string& path) override {
        remove_guest_file(services_.helper, {guest, root, disk_idmap}, path);
        tell(ref, "instance-file-deleted", path);
    }
    std::shared_ptr<const int> sftp(const InstanceRef& ref, const std::optional<RunningGuest>& guest, const Dir* root,
                                    const IdMap& disk_idmap) override {
        const auto session =
            sftp_.add(std::make_shared<SftpSession>(services_.helper, ref, FileTarget{guest, root, disk_idmap}));
        return {session, &session->fd()};
    }
    void forget(const InstanceRef& ref) override {
        const auto match = [&](const auto& session) { return session.ref() == ref; };
        exec_.kill(match);
        consoles_.kill(match);
        sftp_.kill(match);
    }

private:
    void tell(const InstanceRef& ref, const char* action, const std::string& path) const {
        services_.events.lifecycle(ref.project, action, instance_url(ref), {{"path", path}});
    }
    const Services services_;
    Sessions<ExecSession> exec_;
    Sessions<ConsoleSession> consoles_;
    Sessions<SftpSession> sftp_;
};

} // namespace

std::unique_ptr<GuestAccess> make_guest_access(const GuestAccess::Services& services) {
    return std::make_unique<GuestAccessImpl>(services);
}

} // namespace lxdcore::instance
