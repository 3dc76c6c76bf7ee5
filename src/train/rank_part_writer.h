// The part of one rank: its ranges of the weights into the file that all share, its fragments of
// the moments into a file of its own.
//
// Free functions of the thread that saves; they block on the disk.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "checkpoint/part_record.h"
#include "checkpoint/safetensors.h"
#include "checkpoint/tensor_file.h"
#include "checkpoint/transfer_buffers.h"
#include "fs/file_system.h"
#include "state/snapshot.h"

namespace holdfast::train {

struct RankShare {
    int rank = 0;
    int ranks = 1;
};

// Names, dtypes and whole shapes, in the order of the file.
std::vector<checkpoint::TensorInfo> tensor_infos(const std::vector<state::TensorBytes>& tensors);

// Writes into the pending directory of a save whose shared file of weights is made. Errors: those
// of checkpoint::RankPart.
base::Result<checkpoint::PartRecord> write_rank_part(fs::FileSystem& file_system,
                                                     const std::string& pending_directory,
                                                     const RankShare& share,
                                                     state::Snapshot& snapshot,
                                                     checkpoint::TransferBuffers& buffers);

}  // namespace holdfast::train
