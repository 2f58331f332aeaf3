// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <exception>

#include <lxdcore/error.hpp>

#include "storage/drivers/zfs/zfs_driver.hpp"
#include "util/text.hpp"

namespace lxdcore::storage {

namespace {
constexpr std::chrono::hours kLong{24}; ///< whoever wants it sooner has a stop token
const std::vector<SendReceiveOps::Part> kWhole{{.path = "/"}};
} // namespace

/// A snapshot, or one of its own of a volume.
class ZfsDriver::StreamSource final : public SendReceiveOps::Source {
public:
    StreamSource(ZfsDriver& driver, std::string snapshot, bool own)
        : driver_{driver}, snapshot_{std::move(snapshot)}, own_{own} {
        if (own_) driver_.tools().run({"zfs", "snapshot", snapshot_});
    }
    ~StreamSource() override {
        if (own_) driver_.discard({{}, snapshot_});
    }
    const std::vector<Part>& parts() const noexcept override { return kWhole; }
    void send(const std::string&, const Source* parent, int fd, std::stop_token stop) override {
        ToolCall call{.argv = {"zfs", "send", "--compressed"}, .stop = std::move(stop), .timeout = kLong, .out = fd};
        if (const auto* base = dynamic_cast<const StreamSource*>(parent))
            call.argv.insert(call.argv.end(), {"-i", base->snapshot_});
        call.argv.push_back(snapshot_);
        driver_.tools().run(call);
    }

private:
    ZfsDriver& driver_;
    std::string snapshot_;
    bool own_;
};

/// The receiving program makes a clone of what an increment builds upon: it knows snapshots by their identity.
class ZfsDriver::StreamSink final : public SendReceiveOps::Sink {
public:
    StreamSink(ZfsDriver& driver, const VolumeId& as) : driver_{driver}, staged_{as, driver.hidden_new(as.place)} {}
    ~StreamSink() override {
        if (!finished_) driver_.discard(staged_);
    }
    void receive(const Part&, int fd, std::stop_token stop) override {
        std::vector<std::string> argv{"zfs", "receive", "-u", "-o"};
        if (staged_.as.block)
            argv.push_back("volmode=dev");
        else
            argv.insert(argv.end(), {"mountpoint=legacy", "-o", "canmount=noauto"});
        argv.push_back(staged_.name);
        driver_.tools().run({.argv = std::move(argv), .stop = std::move(stop), .timeout = kLong, .in = fd});
    }
    /// The snapshot that came with the stream is what a published snapshot will be; a volume has no use for it.
    Staged finish() override {
        if (staged_.as.snapshot.empty())
            for (const auto& snapshot : driver_.snapshots_of(staged_.name))
                driver_.tools().run({"zfs", "destroy", snapshot});
        finished_ = true;
        return staged_;
    }

private:
    ZfsDriver& driver_;
    Staged staged_;
    bool finished_ = false;
};

std::unique_ptr<SendReceiveOps::Source> ZfsDriver::source(const VolumeId& volume) {
    const auto object = object_of(volume);
    if (!volume.snapshot.empty()) return std::make_unique<StreamSource>(*this, object, false);
    return std::make_unique<StreamSource>(*this, object + "@lxdcore-new-" + text::random_hex(12), true);
}

std::unique_ptr<SendReceiveOps::Sink> ZfsDriver::sink(const VolumeId& as) {
    object_of(as);
    return std::make_unique<StreamSink>(*this, as);
}

} // namespace lxdcore::storage
