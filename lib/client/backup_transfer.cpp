// SPDX-License-Identifier: Apache-2.0
#include "client/backup_transfer.hpp"

#include "client/local_files.hpp"

namespace lxdcore::client {

BackupService::File receive_backup(Rest& rest, const Url& url, const std::string& modified) {
    const auto download = rest.download({"GET", url.str()});
    const auto& reply = download->reply();
    if (reply.status >= 400) throw_if_error(reply.status, download->read_all());
    auto local = temporary_file();
    receive_file(*download, local.get());
    const auto size = ::lseek(local.get(), 0, SEEK_CUR);
    if (::lseek(local.get(), 0, SEEK_SET) < 0) throw_errno("seek");
    return {.fd = local.release(), .size = size, .modified = modified};
}

OperationPtr send_backup(Rest& rest, const Url& url, const std::string& name, const std::string& pool,
                         const std::shared_ptr<int>& archive) {
    if (!archive) throw Error{ErrorCode::InvalidArgument, "No backup provided"};
    HttpRequest post{"POST", url.str()};
    post.headers.emplace_back("Content-Type", "application/octet-stream");
    if (!name.empty()) post.headers.emplace_back("X-LXD-name", name);
    if (!pool.empty()) post.headers.emplace_back("X-LXD-pool", pool);
    const auto upload = rest.upload(std::move(post));
    send_file(*upload, *archive, true);
    return rest.operation_of(upload->finish());
}

} // namespace lxdcore::client
