// SPDX-License-Identifier: Apache-2.0
// A small CI runner: a command in ten throw-away containers at a time, each from a fresh copy of an image, without any
// daemon. $JOB is the number of the job. Shows a progress bar on a terminal, then the output of each job, and fails if
// one of them does. Ctrl-C or SIGTERM stops and removes the containers, a second one ends it as it stands.
//   ci_runner STATE_DIR IMAGE.tar.gz [-j CONTAINERS] [-n JOBS] COMMAND…
#include <lxdcore/core.hpp>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

using namespace lxdcore;

namespace {

struct Job {
    int number = 0;
    int code = -1;
    std::string output;
    std::chrono::milliseconds time{0};
};

/// What a command writes, in memory.
class Capture {
public:
    Capture() : fd_{::memfd_create("output", MFD_CLOEXEC)} {}
    ~Capture() { ::close(fd_); }
    Capture(const Capture&) = delete;
    Capture& operator=(const Capture&) = delete;
    int fd() const { return fd_; }
    std::string text() const {
        std::string text(static_cast<std::size_t>(::lseek(fd_, 0, SEEK_END)), '\0');
        const auto size = ::pread(fd_, text.data(), text.size(), 0);
        text.resize(size < 0 ? 0 : static_cast<std::size_t>(size));
        return text;
    }

private:
    int fd_;
};

/// "[#####.....] 5/10", on a terminal only.
class Bar {
public:
    explicit Bar(std::size_t total) : total_{total}, terminal_{::isatty(STDERR_FILENO) == 1} { draw(); }
    ~Bar() {
        if (terminal_) std::fputs("\r\033[K", stderr);
    }
    void step() {
        const std::lock_guard lock{mutex_};
        ++done_;
        draw();
    }

private:
    void draw() const {
        if (!terminal_) return;
        constexpr std::size_t kWidth = 40;
        const auto full = done_ * kWidth / total_;
        std::fprintf(stderr, "\r[%s%s] %zu/%zu", std::string(full, '#').c_str(),
                     std::string(kWidth - full, '.').c_str(), done_, total_);
        std::fflush(stderr);
    }
    std::mutex mutex_;
    std::size_t done_ = 0;
    const std::size_t total_;
    const bool terminal_;
};

class Runner {
public:
    Runner(Core& core, std::string image, std::vector<std::string> command)
        : core_{core}, image_{std::move(image)}, command_{std::move(command)} {}

    /// In a container of its own, which is removed whatever happens.
    void run(Job& job) {
        if (cancelled_) {
            job.output = "cancelled\n";
            return;
        }
        const auto began = std::chrono::steady_clock::now();
        const InstanceRef ref{"default", "ci-" + std::to_string(::getpid()) + "-" + std::to_string(job.number)};
        try {
            api::InstancesPost request;
            request.name = ref.name;
            request.source.type = "image";
            request.source.fingerprint = image_;
            request.ephemeral = true;
            core_.instances().create("default", request)->result();
            change(ref, "start");
            job.code = exec(ref, job);
            if (cancelled_ && job.code != 0) throw Error{ErrorCode::Cancelled, "cancelled"};
            change(ref, "stop");
        } catch (const std::exception& error) {
            (job.output += cancelled_ ? "cancelled" : error.what()) += '\n';
            job.code = -1;
            discard(ref);
        }
        job.time = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - began);
    }

    /// No more jobs, and those that run lose their containers. On any thread; returns before they have ended.
    void cancel() {
        std::set<std::string> running;
        {
            const std::lock_guard lock{mutex_};
            cancelled_ = true;
            running = running_;
        }
        for (const auto& name : running)
            discard({"default", name});
    }
    bool cancelled() const { return cancelled_; }

private:
    void change(const InstanceRef& ref, const char* action) const {
        api::InstanceStatePut state;
        state.action = action;
        state.force = true;
        core_.instances().change_state(ref, state)->result();
    }
    int exec(const InstanceRef& ref, Job& job) {
        {
            const std::lock_guard lock{mutex_};
            if (cancelled_) throw Error{ErrorCode::Cancelled, "cancelled"};
            running_.insert(ref.name);
        }
        const Capture output;
        api::InstanceExecPost exec;
        exec.command = command_;
        exec.environment = {{"JOB", std::to_string(job.number)}};
        const auto result =
            core_.instances().exec(ref, exec, {.in = -1, .out = output.fd(), .err = output.fd()})->result();
        job.output = output.text();
        return result.value("return", 1);
    }
    void discard(const InstanceRef& ref) const {
        try {
            if (core_.instances().get(ref).status_code != api::Status::Stopped) return change(ref, "stop");
            core_.instances().remove(ref)->result();
        } catch (const std::exception&) { // it was never made, or is gone already
        }
    }
    Core& core_;
    const std::string image_;
    const std::vector<std::string> command_;
    std::mutex mutex_;
    std::set<std::string> running_; ///< names of containers whose command has begun
    std::atomic<bool> cancelled_ = false;
};

/// Calls something on a thread of its own at the first SIGINT or SIGTERM. Not by blocking the signals: what is started
/// meanwhile, a container for instance, would have them blocked as well.
class OnSignal {
public:
    explicit OnSignal(std::function<void()> work) {
        wake = ::eventfd(0, EFD_CLOEXEC);
        if (wake < 0) throw_errno("eventfd");
        struct sigaction action {};
        action.sa_handler = [](int) { tell(2); };
        action.sa_flags = SA_RESTART | SA_RESETHAND;
        for (const int number : {SIGINT, SIGTERM})
            ::sigaction(number, &action, nullptr);
        thread_ = std::jthread{[work = std::move(work)] {
            std::uint64_t what = 0;
            if (::read(wake, &what, sizeof what) == sizeof what && what > 1) work();
        }};
    }
    ~OnSignal() {
        for (const int number : {SIGINT, SIGTERM})
            std::signal(number, SIG_DFL);
        tell(1);
        thread_.join();
        ::close(wake);
    }
    OnSignal(const OnSignal&) = delete;
    OnSignal& operator=(const OnSignal&) = delete;

private:
    static void tell(std::uint64_t what) {
        const int before = errno; // of whatever was interrupted
        (void)!::write(wake, &what, sizeof what);
        errno = before;
    }
    inline static int wake = -1;
    std::jthread thread_;
};

void prepare(Core& core) {
    if (core.storage().names().empty()) {
        api::StoragePoolsPost pool;
        pool.name = "default";
        pool.driver = "dir";
        core.storage().create(pool);
    }
    api::ProfilePatch profile;
    profile.devices = {{"root", {{"type", "disk"}, {"path", "/"}, {"pool", "default"}}}};
    core.profiles().patch("default", "default", profile, "");
}

std::string import(Core& core, const std::string& file) {
    const auto known = core.images().fingerprints("default", false);
    if (!known.empty()) return known.front();
    return core.images().import_files({}, file, "")->result()["fingerprint"].get<std::string>();
}

void run_all(Runner& runner, std::vector<Job>& jobs, std::size_t at_once) {
    Bar bar{jobs.size()};
    std::atomic<std::size_t> next = 0;
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < std::min(at_once, jobs.size()); ++i)
        threads.emplace_back([&] {
            for (auto at = next++; at < jobs.size(); at = next++) {
                runner.run(jobs[at]);
                bar.step();
            }
        });
    threads.clear(); // waits for them while the bar is there
}

int report(const std::vector<Job>& jobs) {
    int failed = 0;
    for (const auto& job : jobs) {
        std::printf("--- job %d: exit code %d, %lld ms\n%s", job.number, job.code,
                    static_cast<long long>(job.time.count()), job.output.c_str());
        failed += job.code != 0 ? 1 : 0;
    }
    std::printf("%zu jobs, %d failed\n", jobs.size(), failed);
    return failed == 0 ? 0 : 1;
}

} // namespace

int main(int argc, char** argv) {
    std::size_t at_once = 10, count = 10;
    int at = 3;
    for (; at + 1 < argc && (std::string{argv[at]} == "-j" || std::string{argv[at]} == "-n"); at += 2)
        (argv[at][1] == 'j' ? at_once : count) = std::strtoul(argv[at + 1], nullptr, 10);
    if (at >= argc || at_once == 0 || count == 0) {
        std::fprintf(stderr, "usage: %s STATE_DIR IMAGE [-j CONTAINERS] [-n JOBS] COMMAND...\n", argv[0]);
        return 2;
    }
    try {
        CoreOptions options;
        options.state_dir = argv[1];
        if (const char* helper = std::getenv("LXDCORE_HELPER")) options.helper = helper;
        Core core{options};
        prepare(core);
        Runner runner{core, import(core, argv[2]), {argv + at, argv + argc}};
        const OnSignal signals{[&] { runner.cancel(); }};
        std::vector<Job> jobs(count);
        for (std::size_t i = 0; i < count; ++i)
            jobs[i].number = static_cast<int>(i + 1);
        run_all(runner, jobs, at_once);
        const auto result = report(jobs);
        return runner.cancelled() ? 130 : result;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s: %s\n", argv[0], error.what());
        return 1;
    }
}
