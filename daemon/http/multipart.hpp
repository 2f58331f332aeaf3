// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace lxdcore::daemon {

/// Splits a multipart/form-data body that arrives in pieces; parts are handed on as they come, never collected.
class MultipartParser {
public:
    struct Part {
        std::string name, filename;
    };
    /// @p on_part at the start of each part, then @p on_data for its bytes. Both may throw.
    MultipartParser(std::string boundary, std::function<void(const Part&)> on_part,
                    std::function<void(const char*, std::size_t)> on_data);
    /// @throws Error InvalidArgument "Invalid multipart image" for what is no multipart or has an oversized part header
    void feed(const char* data, std::size_t size);
    /// @throws Error InvalidArgument if the closing boundary has not been seen
    void finish();

    /// The boundary of a Content-Type; "" if it is no multipart/form-data.
    static std::string boundary_of(std::string_view content_type);

private:
    enum class State { Preamble, AfterBoundary, Header, Body, Done };
    bool step();
    void read_header(std::string_view header);
    std::string boundary_;
    std::function<void(const Part&)> on_part_;
    std::function<void(const char*, std::size_t)> on_data_;
    std::string pending_;
    State state_ = State::Preamble;
};

} // namespace lxdcore::daemon
