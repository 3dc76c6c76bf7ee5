// A checkpoint written by several ranks: what each owns of a state, and its part of a save.
//
// A state is two lists of tensors, those of the model and those of the optimizer. Its elements are
// numbered through each list, and ranks own ranges of these numbers: what a rank owns of the model
// it writes into the shared file, what it owns of the optimizer into a file of its own, as
// fragments.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "checkpoint/part_record.h"
#include "checkpoint/pending_save.h"
#include "checkpoint/rank_part.h"
#include "checkpoint/reader.h"
#include "checkpoint/transfer_buffers.h"
#include "fs/file_system.h"

namespace holdfast::checkpoint {

struct ElementRange {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
};

// By rank.
using Ownership = std::vector<std::vector<ElementRange>>;

// Cut at these numbers; as many ranks as cuts and one more.
Ownership cut_at(std::uint64_t elements, const std::vector<std::uint64_t>& cuts);
// In equal parts.
Ownership cut_evenly(std::uint64_t elements, std::uint64_t rank_count);
// In blocks of so many, dealt to the ranks in turn.
Ownership dealt_out(std::uint64_t elements, std::uint64_t rank_count, std::uint64_t block);

struct PartedState {
    std::vector<TensorSource> model;
    std::vector<TensorSource> optimizer;
    std::vector<TensorSource> whole;  // of the optimizer too: rank 0 writes them uncut
    Ownership model_owned;
    Ownership optimizer_owned;

    [[nodiscard]] std::int64_t rank_count() const {
        return static_cast<std::int64_t>(model_owned.size());
    }
};

std::uint64_t elements_of(const std::vector<TensorSource>& tensors);
std::vector<TensorInfo> infos_of(const std::vector<TensorSource>& tensors);

// A stretch of one tensor.
struct TensorSlice {
    const TensorSource* tensor = nullptr;
    std::uint64_t begin = 0;  // elements of the tensor
    std::uint64_t end = 0;
    [[nodiscard]] std::span<const std::byte> bytes() const;
};
std::vector<TensorSlice> slices_of(const std::vector<TensorSource>& tensors,
                                   const std::vector<ElementRange>& ranges);

// All that one rank does: joins, writes pieces and its own file, finishes.
base::Result<PartRecord> write_part(fs::FileSystem& file_system,
                                    const std::string& pending_directory,
                                    const PartedState& state,
                                    std::int64_t rank,
                                    TransferBuffers& buffers);

// One rank after the other in this process; every answer goes through its text. On any error that
// error.
base::Result<PendingSave> sealed_parted_save(fs::FileSystem& file_system,
                                             base::Result<PendingSave> opened,
                                             const PartedState& state,
                                             Manifest manifest,
                                             TransferBuffers& buffers);

}  // namespace holdfast::checkpoint
