// The disk of rank 0's node behind the file-system seam, for a rank whose node does not see it: its
// part of a checkpoint is written there, and read from there at a start, by the same code that
// works on a disk of its own.
//
// What a part and a reader need is there: open, transfers, sync, reserve, status, removal of a
// file, list and sync of a directory. Other calls answer kInvalid. A transfer moves at most
// kBodyBytesMax; callers repeat short ones anyway. Paths are those of rank 0. Direct files keep
// their alignment: the bytes land in an aligned buffer there.
//
// Borrows the channel, which must outlive it and all its files. Any thread. Every call waits for
// rank 0 and its disk. Errors: what rank 0's file system said, "rank 0: " before it, with its
// errno; kIo when rank 0 is gone.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "dist/byte_channel.h"
#include "fs/file_system.h"

namespace holdfast::train {

class RemoteFileSystem : public fs::FileSystem {
public:
    explicit RemoteFileSystem(dist::ByteChannel& channel) : channel_(channel) {}

    base::Result<std::unique_ptr<fs::File>> open(const std::string& path,
                                                 const fs::OpenOptions& options) override;
    base::Result<std::unique_ptr<fs::Mapping>> map(const std::string& path) override;
    base::Status make_directory(const std::string& path) override;
    base::Status remove_directory(const std::string& path) override;
    base::Status remove_file(const std::string& path) override;
    base::Status rename(const std::string& from,
                        const std::string& to,
                        fs::RenameMode mode) override;
    base::Status hard_link(const std::string& existing, const std::string& link) override;
    base::Status make_symlink(const std::string& target, const std::string& link) override;
    base::Result<std::string> read_symlink(const std::string& link) override;
    base::Status sync_directory(const std::string& path) override;
    base::Result<std::vector<std::string>> list(const std::string& path) override;
    base::Result<fs::FileStatus> status(const std::string& path) override;
    base::Result<fs::SpaceStatus> space(const std::string& path) override;

private:
    dist::ByteChannel& channel_;
};

}  // namespace holdfast::train
