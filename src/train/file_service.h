// Rank 0's side of train/remote_file_system.h: carries out on its own disk what ranks without one
// ask for, one question after the other.
//
// Only what a part of a checkpoint needs is done for others: files are made, written and removed
// inside pending directories of the run alone, and read there and in checkpoints that allow() has
// named. Anything else is answered with kInvalid.
//
// Borrows the file system. answer() belongs to one thread, allow() to any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "dist/byte_channel.h"
#include "fs/file_system.h"
#include "train/file_message.h"

namespace holdfast::train {

class FileService {
public:
    // `run_directory` as rank 0 tells it to the others.
    FileService(fs::FileSystem& file_system, std::string run_directory)
        : file_system_(file_system), run_directory_(std::move(run_directory)) {}

    // Files directly in `directory` may be read from now on.
    void allow(const std::string& directory);

    dist::ChannelAnswer answer(int rank,
                               std::string_view head,
                               std::span<std::byte> buffer,
                               std::size_t body_bytes);

private:
    using Key = std::pair<int, std::int64_t>;  // rank, file

    FileAnswer carry_out(int rank,
                         const FileQuestion& question,
                         std::span<std::byte> buffer,
                         std::size_t body_bytes);
    FileAnswer open(int rank, const FileQuestion& question);
    [[nodiscard]] FileAnswer list(const std::string& path, std::span<std::byte> buffer) const;
    FileAnswer on_file(fs::File& file,
                       const FileQuestion& question,
                       std::span<std::byte> buffer,
                       std::size_t body_bytes) const;
    [[nodiscard]] base::Status check_name(const FileQuestion& question);
    [[nodiscard]] bool is_pending(const std::string& directory) const;

    fs::FileSystem& file_system_;
    std::string run_directory_;
    std::map<Key, std::unique_ptr<fs::File>> files_;
    std::int64_t last_file_ = 0;

    std::mutex mutex_;  // guards readable_
    std::vector<std::string> readable_;
};

}  // namespace holdfast::train
