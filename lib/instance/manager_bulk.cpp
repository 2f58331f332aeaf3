// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <mutex>
#include <optional>

#include "instance/manager.hpp"

namespace lxdcore::instance {

namespace {

/// Which instances an action is about.
bool applies(const std::string& action, api::Status status) {
    const bool frozen = status == api::Status::Frozen;
    const bool running = status == api::Status::Running || frozen;
    if (action == "start") return !running;
    if (action == "unfreeze") return frozen;
    return running;
}

/// What the changes of one operation share; the last one that ends tells how all of them went.
struct Bulk {
    std::shared_ptr<OperationHandle> operation;
    std::atomic<std::size_t> left{0};
    std::mutex mutex;
    std::string failures;

    void fail(const std::string& name, const std::string& why) {
        const std::lock_guard lock{mutex};
        failures += " - Instance: " + name + ": " + why + "\n";
    }
    void done() {
        if (--left > 0) return;
        if (failures.empty())
            operation->succeed();
        else
            operation->fail("The following instances failed to update state:\n" + failures);
    }
};

} // namespace

OperationPtr Manager::change_all_states(const std::string& project, const api::InstanceStatePut& request) {
    OperationOptions options{.type = state_change({project, ""}, request).operation_type, .project = project};
    require_project(project);
    auto& urls = options.resources["instances"];
    std::vector<InstanceRef> refs;
    for (const auto& name : names(project)) {
        if (!applies(request.action, runtime_.status({project, name}))) continue;
        refs.push_back({project, name});
        urls.push_back("/1.0/instances/" + name);
    }
    const auto bulk = std::make_shared<Bulk>();
    bulk->operation = s_.operations.create(std::move(options));
    bulk->left = refs.size() + 1;
    bulk->operation->run();
    for (const auto& ref : refs) {
        s_.pool.post(
            [bulk, name = ref.name, work = state_change(ref, request).work, internal = !CallerScope::present()] {
                std::optional<CallerScope> scope;
                if (!internal) scope.emplace(bulk->operation->operation()->caller());
                try {
                    work();
                } catch (const std::exception& error) {
                    bulk->fail(name, error.what());
                }
                bulk->done();
            });
    }
    bulk->done();
    return bulk->operation->operation();
}

} // namespace lxdcore::instance
