// The part of one rank in a checkpoint that several ranks write together, on a disk they share.
//
// The rank that publishes opens the pending save, makes the files that are shared
// (PendingSave::create_shared) and tells the others the directory. Every rank, it too, then joins
// with a RankPart: writes its pieces of the shared files and files of its own, and answers with the
// record of both, which PendingSave::adopt takes. A RankPart only opens and creates files by name:
// it lists and publishes nothing, makes no directory, and removes nothing but a file of its own
// that must be written anew (write_verified_file). After a failure every further call answers
// kInvalid, and what was written is left to the rank that publishes, who drops the save.
//
// State:  OPEN --write_pieces(), add()--> OPEN --finish()--> FINISHED
//
// Every byte is on the disk and was read back and compared when finish() answers. Errors: kNotFound
// (the save was dropped), kNoSpace, kIo, kCorrupt (read back other than written), kExists (another
// rank has the name), kInvalid (names, sizes, order of calls). Borrows file system and buffers. One
// thread at a time; every call may block on the disk.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"
#include "checkpoint/part_record.h"
#include "checkpoint/piece_writer.h"
#include "checkpoint/save_seconds.h"
#include "checkpoint/tensor_file.h"
#include "checkpoint/transfer_buffers.h"
#include "fs/file_system.h"

namespace holdfast::checkpoint {

class RankPart {
public:
    // `pending_directory` as PendingSave::directory() tells it; ranks count from 0.
    static base::Result<RankPart> join(fs::FileSystem& file_system,
                                       const std::string& pending_directory,
                                       std::int64_t rank,
                                       TransferBuffers& buffers);

    // Writes these pieces of a shared file, in any order; empty ones are left out. Once for each
    // file. They must not overlap nor go beyond the length that was reserved. The page cache is
    // used: the ends of a piece lie in pages that other ranks write too.
    base::Status write_pieces(std::string_view file_name, std::span<const PieceSource> pieces);

    // Writes a file of this rank alone.
    base::Status add(std::string_view file_name,
                     std::span<const TensorSource> tensors,
                     const SafetensorsMetadata& metadata = {{"format", "pt"}});

    // Makes the names of this rank's files durable and tells what was written.
    base::Result<PartRecord> finish();

    [[nodiscard]] SaveSeconds seconds() const { return seconds_; }

private:
    RankPart(fs::FileSystem& file_system, std::string directory, TransferBuffers& buffers)
        : file_system_(&file_system), directory_(std::move(directory)), buffers_(&buffers) {}

    [[nodiscard]] base::Status require_open(std::string_view call) const;
    base::Error fail(const base::Error& error);
    void note(Readback readback);

    fs::FileSystem* file_system_;
    std::string directory_;
    TransferBuffers* buffers_;
    PartRecord record_;
    SaveSeconds seconds_;
    bool is_open_ = true;
};

}  // namespace holdfast::checkpoint
