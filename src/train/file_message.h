// What a rank asks of the disk of rank 0's node and what it is answered, as the heads of messages
// (dist/byte_channel.h). Values; pure functions; any thread. Bytes of files travel beside them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "fs/file_system.h"

namespace holdfast::train {

enum class FileCall {
    kOpen,
    kRead,
    kWrite,
    kSync,
    kTruncate,
    kReserve,
    kDropCache,
    kFileStatus,
    kClose,
    kStatus,
    kSyncDirectory,
    kRemoveFile,
    kList,  // the names come as bytes, each with a 0 behind it
};

struct FileQuestion {
    FileCall call = FileCall::kOpen;
    std::string path = {};         // of calls on names
    fs::OpenOptions options = {};  // kOpen
    std::int64_t file = 0;         // of calls on an open file: what kOpen answered
    std::uint64_t offset = 0;      // kRead, kWrite
    std::uint64_t bytes = 0;       // to read; to truncate or reserve to
};

struct FileAnswer {
    base::Status status = {};
    std::int64_t file = 0;            // kOpen
    std::uint64_t bytes = 0;          // read or written; of a list
    fs::FileStatus file_status = {};  // kFileStatus, kStatus
};

std::string print_file_question(const FileQuestion& question);
// kCorrupt: not of this program's making.
base::Result<FileQuestion> parse_file_question(std::string_view text);

std::string print_file_answer(const FileAnswer& answer);
base::Result<FileAnswer> parse_file_answer(std::string_view text);

}  // namespace holdfast::train
