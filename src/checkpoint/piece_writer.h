// Pieces of a file that exists and that others write too: written through the page cache, synced,
// read back from the device where it can be asked, and compared.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "checkpoint/part_record.h"
#include "checkpoint/save_seconds.h"
#include "checkpoint/transfer_buffers.h"
#include "fs/file_system.h"

namespace holdfast::checkpoint {

// Bytes that go to `offset` of a shared file; borrowed while they are written.
struct PieceSource {
    std::uint64_t offset = 0;
    std::span<const std::byte> bytes;
};

struct VerifiedPieces {
    std::vector<PieceRecord> pieces;  // by offset
    Readback readback = Readback::kCache;
    SaveSeconds seconds;
};

// Empty pieces are left out. kInvalid, before anything is written, when pieces overlap or go beyond
// the length of the file; kCorrupt when what came back was not what was written. When a signal
// broke the fsync off, all pieces are written again: what the sync would have told is gone with it.
base::Result<VerifiedPieces> write_verified_pieces(fs::FileSystem& file_system,
                                                   const std::string& directory,
                                                   const std::string& file_name,
                                                   std::vector<PieceSource> pieces,
                                                   TransferBuffers& buffers);

}  // namespace holdfast::checkpoint
