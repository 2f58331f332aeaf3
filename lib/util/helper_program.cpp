// SPDX-License-Identifier: Apache-2.0
#include "util/helper_program.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <lxdcore/error.hpp>

namespace lxdcore {

namespace {

constexpr int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
constexpr std::size_t longest_reply = 16 << 20;

UniqueFd make_memfd(const char* name) {
    UniqueFd fd{::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING)};
    if (!fd) throw_errno("memfd_create");
    return fd;
}

void seal(const UniqueFd& fd) {
    if (::fcntl(fd.get(), F_ADD_SEALS, seals) != 0) throw_errno("seal memfd");
}

UniqueFd load_program(const std::filesystem::path& path) {
    const UniqueFd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
    if (!file) {
        throw Error{
            ErrorCode::NotFound,
            fmt::format("{} is not there: install lxdcore-helper, or name it in CoreOptions::helper", path.string())};
    }
    UniqueFd image = make_memfd("lxdcore-helper");
    struct stat status {};
    if (::fstat(file.get(), &status) != 0) throw_errno(path.string());
    for (off_t left = status.st_size; left > 0;) {
        const auto sent = ::sendfile(image.get(), file.get(), nullptr, static_cast<std::size_t>(left));
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) throw_errno(path.string(), sent == 0 ? EIO : errno);
        left -= sent;
    }
    seal(image);
    return image;
}

UniqueFd make_request(const nlohmann::json& request) {
    const auto text = request.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    UniqueFd fd = make_memfd("request");
    for (std::size_t at = 0; at < text.size();) {
        const auto wrote = ::write(fd.get(), text.data() + at, text.size() - at);
        if (wrote < 0 && errno != EINTR) throw_errno("write request");
        at += static_cast<std::size_t>(std::max<ssize_t>(wrote, 0));
    }
    if (::lseek(fd.get(), 0, SEEK_SET) != 0) throw_errno("write request");
    seal(fd);
    return fd;
}

ErrorCode code_from_name(const std::string& name) {
    constexpr std::array<std::pair<const char*, ErrorCode>, 12> names{{{"InvalidArgument", ErrorCode::InvalidArgument},
                                                                       {"NotFound", ErrorCode::NotFound},
                                                                       {"AlreadyExists", ErrorCode::AlreadyExists},
                                                                       {"BadState", ErrorCode::BadState},
                                                                       {"StaleEtag", ErrorCode::StaleEtag},
                                                                       {"Forbidden", ErrorCode::Forbidden},
                                                                       {"Unauthorized", ErrorCode::Unauthorized},
                                                                       {"TooLarge", ErrorCode::TooLarge},
                                                                       {"Unsupported", ErrorCode::Unsupported},
                                                                       {"Unavailable", ErrorCode::Unavailable},
                                                                       {"Cancelled", ErrorCode::Cancelled},
                                                                       {"NoSpace", ErrorCode::NoSpace}}};
    const auto it = std::find_if(names.begin(), names.end(), [&](const auto& pair) { return name == pair.first; });
    return it != names.end() ? it->second : ErrorCode::Internal;
}

/// The first line, or what came before the end of the pipe.
std::string read_line(int fd, std::chrono::steady_clock::time_point deadline, const std::string& verb,
                      const std::function<void()>& keep_on) {
    std::string line;
    std::array<char, 4096> buffer;
    while (line.find('\n') == std::string::npos) {
        const auto left =
            std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
        if (left <= 0) throw Error{ErrorCode::Internal, fmt::format("helper {}: timed out", verb)};
        if (keep_on) keep_on();
        pollfd poll{fd, POLLIN, 0};
        const int ready =
            ::poll(&poll, 1, static_cast<int>(std::min<std::int64_t>(left, keep_on ? 200 : 1'000'000'000)));
        if (ready < 0 && errno != EINTR) throw_errno("poll");
        if (ready <= 0) continue;
        const auto got = ::read(fd, buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        line.append(buffer.data(), static_cast<std::size_t>(got));
        if (line.size() > longest_reply)
            throw Error{ErrorCode::Internal, fmt::format("helper {}: endless reply", verb)};
    }
    return line.substr(0, line.find('\n'));
}

} // namespace

HelperProgram::HelperProgram(const std::filesystem::path& path, std::uint64_t file_limit)
    : path_{std::filesystem::absolute(path)}, image_{load_program(path)}, file_limit_{file_limit} {}

HelperProgram::Running HelperProgram::start(const std::string& verb, const nlohmann::json& request,
                                            const std::vector<std::pair<int, int>>& fds, bool new_session) const {
    const UniqueFd input = make_request(request);
    int pipe[2];
    if (::pipe2(pipe, O_CLOEXEC) != 0) throw_errno("pipe");
    UniqueFd reply{pipe[0]};
    const UniqueFd their_reply{pipe[1]};
    SpawnOptions options;
    options.argv = {"lxdcore-helper", verb};
    if (file_limit_ != 0) options.argv.push_back(std::to_string(file_limit_));
    options.exec_fd = image_.get();
    options.fds = fds;
    options.fds.emplace_back(input.get(), 3);
    options.fds.emplace_back(their_reply.get(), 4);
    options.new_session = new_session;
    return Running{spawn(options), std::move(reply)};
}

nlohmann::json HelperProgram::call(const std::string& verb, const nlohmann::json& request,
                                   const std::vector<std::pair<int, int>>& fds, std::chrono::milliseconds timeout,
                                   const std::function<void()>& keep_on) const {
    const auto deadline = std::chrono::steady_clock::now() + timeout;
    auto running = start(verb, request, fds);
    const auto line = read_line(running.reply.get(), deadline, verb, keep_on);
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    const auto code = running.process.wait_for(std::max(left, std::chrono::milliseconds{0}));
    if (!code) throw Error{ErrorCode::Internal, fmt::format("helper {}: timed out", verb)};
    auto reply = nlohmann::json::parse(line, nullptr, false);
    if (!reply.is_object() || !reply.contains("ok") || !reply["ok"].is_boolean()) {
        throw Error{ErrorCode::Internal, *code > 128 ? fmt::format("helper {}: killed by signal {}", verb, *code - 128)
                                                     : fmt::format("helper {}: no reply, exit status {}", verb, *code)};
    }
    if (reply["ok"].get<bool>()) return reply;
    throw Error{code_from_name(reply.value("code", "Internal")), reply.value("error", "helper " + verb + " failed")};
}

} // namespace lxdcore
