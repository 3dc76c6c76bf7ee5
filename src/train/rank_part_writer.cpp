#include "train/rank_part_writer.h"

#include <utility>

#include "checkpoint/checkpoint_name.h"
#include "checkpoint/rank_part.h"
#include "checkpoint/tensor_map.h"

namespace holdfast::train {

using base::Result;
using base::Status;

namespace {

Status write_weights(checkpoint::RankPart& part, state::Snapshot& snapshot) {
    const Result<checkpoint::SafetensorsHeader> layout =
        checkpoint::lay_out_safetensors(tensor_infos(snapshot.model_tensors()), {{"format", "pt"}});
    if (!layout.ok()) {
        return layout.error();
    }
    const std::vector<state::TensorBytes> owned = snapshot.owned_model_tensors();
    std::vector<checkpoint::PieceSource> pieces;
    for (const state::TensorBytes& tensor : owned) {
        const Result<checkpoint::ByteRange> place =
            checkpoint::element_bytes(layout.value(),
                                      tensor.name,
                                      static_cast<std::uint64_t>(tensor.element_begin),
                                      static_cast<std::uint64_t>(tensor.element_end));
        if (!place.ok()) {
            return place.error();
        }
        pieces.push_back({place.value().begin, tensor.bytes});
    }
    return part.write_pieces(checkpoint::kModelFileName, pieces);
}

Status write_moments(checkpoint::RankPart& part,
                     const RankShare& share,
                     state::Snapshot& snapshot) {
    std::vector<checkpoint::TensorSource> sources;
    checkpoint::SafetensorsMetadata metadata = {{"format", "pt"}};
    for (const state::TensorBytes& tensor : snapshot.optimizer_tensors()) {
        if (tensor.shape.empty() && share.rank != 0) {
            continue;  // the count is the same on all ranks
        }
        if (tensor.is_whole()) {
            sources.push_back({{tensor.name, tensor.dtype, tensor.shape}, tensor.bytes});
            continue;
        }
        sources.push_back(
            {{checkpoint::fragment_name(tensor.name,
                                        static_cast<std::uint64_t>(tensor.element_begin),
                                        static_cast<std::uint64_t>(tensor.element_end)),
              tensor.dtype,
              {tensor.element_end - tensor.element_begin}},
             tensor.bytes});
        metadata[checkpoint::shape_key(tensor.name)] = checkpoint::shape_text(tensor.shape);
    }
    return part.add(
        checkpoint::optimizer_file_name(share.rank + 1, share.ranks), sources, metadata);
}

}  // namespace

std::vector<checkpoint::TensorInfo> tensor_infos(const std::vector<state::TensorBytes>& tensors) {
    std::vector<checkpoint::TensorInfo> infos;
    infos.reserve(tensors.size());
    for (const state::TensorBytes& tensor : tensors) {
        infos.push_back({tensor.name, tensor.dtype, tensor.shape});
    }
    return infos;
}

Result<checkpoint::PartRecord> write_rank_part(fs::FileSystem& file_system,
                                               const std::string& pending_directory,
                                               const RankShare& share,
                                               state::Snapshot& snapshot,
                                               checkpoint::TransferBuffers& buffers) {
    Result<checkpoint::RankPart> part =
        checkpoint::RankPart::join(file_system, pending_directory, share.rank, buffers);
    if (!part.ok()) {
        return part.error();
    }
    Status status = write_weights(part.value(), snapshot);
    if (status.ok()) {
        status = write_moments(part.value(), share, snapshot);
    }
    if (!status.ok()) {
        return status.error();
    }
    return part.value().finish();
}

}  // namespace holdfast::train
