// SPDX-License-Identifier: Apache-2.0
#include "storage/volume_stream.hpp"

#include <exception>
#include <memory>
#include <thread>

#include <fcntl.h>
#include <unistd.h>

#include <lxdcore/error.hpp>

#include "util/unique_fd.hpp"

namespace lxdcore::storage {

namespace {

using Source = SendReceiveOps::Source;
using Sink = SendReceiveOps::Sink;

/// One part through a pipe. When either side fails the other one is stopped; the first reason is the one told.
void pass(Source& source, const Source* parent, const SendReceiveOps::Part& part, Sink& sink, std::stop_token stop) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw_errno("pipe");
    UniqueFd reading{ends[0]}, writing{ends[1]};
    std::stop_source end;
    const std::stop_callback forward{stop, [&end] { end.request_stop(); }};
    std::exception_ptr sent, received;
    {
        const std::jthread sender{[&] {
            try {
                source.send(part.path, parent, writing.get(), end.get_token());
            } catch (...) {
                sent = std::current_exception();
                end.request_stop(); // what was cut off is of no use
            }
            writing.reset();
        }};
        try {
            sink.receive(part, reading.get(), end.get_token());
        } catch (...) {
            received = std::current_exception();
            end.request_stop();
        }
        reading.reset();
    }
    if (stop.stop_requested()) throw Error{ErrorCode::Cancelled, "Operation cancelled"};
    const auto is_echo = [](const std::exception_ptr& problem) {
        try {
            std::rethrow_exception(problem);
        } catch (const Error& error) {
            return error.code() == ErrorCode::Cancelled;
        } catch (...) {
            return false;
        }
    };
    if (received && (!sent || !is_echo(received))) std::rethrow_exception(received);
    if (sent) std::rethrow_exception(sent);
}

} // namespace

Staged stage_stream(StorageDriver& from, const VolumeId& source, const std::optional<VolumeId>& parent,
                    StorageDriver& to, const VolumeId& as, std::stop_token stop) {
    const auto what = from.send_receive()->source(source);
    const auto base = parent ? from.send_receive()->source(*parent) : nullptr;
    const auto sink = to.send_receive()->sink(as);
    for (const auto& part : what->parts())
        pass(*what, base.get(), part, *sink, stop);
    return sink->finish();
}

} // namespace lxdcore::storage
