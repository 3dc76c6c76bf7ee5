// The seam without interruptions: a call that a signal broke off (EINTR) is made again.
//
// A trainer is stopped by signals, and some file systems (network, FUSE, and fallocate on local
// ones) break a call off for one. Every call is repeated but two: sync(), because an error that it
// would have told may be gone with the interruption (the file is written anew instead,
// checkpoint/stream_writer.h), and the transfers, which durable_write.h repeats together with short
// ones. close() that was interrupted has closed (Linux). A call that is interrupted
// kInterruptionsMax times in a row answers EINTR.
#pragma once

#include "fs/file_system.h"

namespace holdfast::fs {

class RestartingFileSystem final : public FileSystem {
public:
    // Borrows `inner`, which must outlive this and every file opened through it.
    explicit RestartingFileSystem(FileSystem& inner) : inner_(inner) {}

    base::Result<std::unique_ptr<File>> open(const std::string& path,
                                             const OpenOptions& options) override;
    base::Result<std::unique_ptr<Mapping>> map(const std::string& path) override;
    base::Status make_directory(const std::string& path) override;
    base::Status remove_directory(const std::string& path) override;
    base::Status remove_file(const std::string& path) override;
    base::Status rename(const std::string& from, const std::string& to, RenameMode mode) override;
    base::Status hard_link(const std::string& existing, const std::string& link) override;
    base::Status make_symlink(const std::string& target, const std::string& link) override;
    base::Result<std::string> read_symlink(const std::string& link) override;
    base::Status sync_directory(const std::string& path) override;
    base::Result<std::vector<std::string>> list(const std::string& path) override;
    base::Result<FileStatus> status(const std::string& path) override;
    base::Result<SpaceStatus> space(const std::string& path) override;

private:
    FileSystem& inner_;
};

}  // namespace holdfast::fs
