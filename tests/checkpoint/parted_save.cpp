#include "parted_save.h"

#include <algorithm>
#include <utility>

#include "checkpoint/tensor_map.h"

namespace holdfast::checkpoint {

using base::Result;
using base::Status;

Ownership cut_at(std::uint64_t elements, const std::vector<std::uint64_t>& cuts) {
    Ownership owned;
    std::uint64_t begin = 0;
    for (const std::uint64_t cut : cuts) {
        owned.push_back({{begin, cut}});
        begin = cut;
    }
    owned.push_back({{begin, elements}});
    return owned;
}

Ownership cut_evenly(std::uint64_t elements, std::uint64_t rank_count) {
    std::vector<std::uint64_t> cuts;
    for (std::uint64_t rank = 1; rank < rank_count; ++rank) {
        cuts.push_back(elements * rank / rank_count);
    }
    return cut_at(elements, cuts);
}

Ownership dealt_out(std::uint64_t elements, std::uint64_t rank_count, std::uint64_t block) {
    Ownership owned(rank_count);
    for (std::uint64_t begin = 0; begin < elements; begin += block) {
        owned[begin / block % rank_count].push_back({begin, std::min(begin + block, elements)});
    }
    return owned;
}

std::uint64_t elements_of(const std::vector<TensorSource>& tensors) {
    std::uint64_t elements = 0;
    for (const TensorSource& tensor : tensors) {
        elements += tensor_elements(tensor.info.shape).value();
    }
    return elements;
}

std::vector<TensorInfo> infos_of(const std::vector<TensorSource>& tensors) {
    std::vector<TensorInfo> infos;
    infos.reserve(tensors.size());
    for (const TensorSource& tensor : tensors) {
        infos.push_back(tensor.info);
    }
    return infos;
}

std::span<const std::byte> TensorSlice::bytes() const {
    const std::uint64_t size = dtype_bytes(tensor->info.dtype).value();
    return tensor->bytes.subspan(begin * size, (end - begin) * size);
}

std::vector<TensorSlice> slices_of(const std::vector<TensorSource>& tensors,
                                   const std::vector<ElementRange>& ranges) {
    std::vector<TensorSlice> slices;
    for (const ElementRange& range : ranges) {
        std::uint64_t first = 0;  // number of the tensor's first element
        for (const TensorSource& tensor : tensors) {
            const std::uint64_t elements = tensor_elements(tensor.info.shape).value();
            const std::uint64_t begin = std::max(range.begin, first);
            const std::uint64_t end = std::min(range.end, first + elements);
            if (begin < end) {
                slices.push_back({&tensor, begin - first, end - first});
            }
            first += elements;
        }
    }
    return slices;
}

namespace {

Result<std::vector<PieceSource>> pieces_of(const PartedState& state, std::int64_t rank) {
    // Computed, as every rank can: the file is not read.
    const Result<SafetensorsHeader> layout =
        lay_out_safetensors(infos_of(state.model), {{"format", "pt"}});
    if (!layout.ok()) {
        return layout.error();
    }
    std::vector<PieceSource> pieces;
    for (const TensorSlice& slice :
         slices_of(state.model, state.model_owned.at(static_cast<std::size_t>(rank)))) {
        const Result<ByteRange> place =
            element_bytes(layout.value(), slice.tensor->info.name, slice.begin, slice.end);
        if (!place.ok()) {
            return place.error();
        }
        pieces.push_back({place.value().begin, slice.bytes()});
    }
    return pieces;
}

struct OwnFile {
    std::vector<TensorSource> fragments;
    SafetensorsMetadata metadata{{"format", "pt"}};
};

OwnFile own_file_of(const PartedState& state, std::int64_t rank) {
    OwnFile file;
    for (const TensorSlice& slice :
         slices_of(state.optimizer, state.optimizer_owned.at(static_cast<std::size_t>(rank)))) {
        const TensorInfo& whole = slice.tensor->info;
        file.fragments.push_back({{fragment_name(whole.name, slice.begin, slice.end),
                                   whole.dtype,
                                   {static_cast<std::int64_t>(slice.end - slice.begin)}},
                                  slice.bytes()});
        file.metadata[shape_key(whole.name)] = shape_text(whole.shape);
    }
    if (rank == 0) {
        file.fragments.insert(file.fragments.end(), state.whole.begin(), state.whole.end());
    }
    return file;
}

}  // namespace

Result<PartRecord> write_part(fs::FileSystem& file_system,
                              const std::string& pending_directory,
                              const PartedState& state,
                              std::int64_t rank,
                              TransferBuffers& buffers) {
    Result<RankPart> joined = RankPart::join(file_system, pending_directory, rank, buffers);
    if (!joined.ok()) {
        return joined.error();
    }
    RankPart part = std::move(joined).value();
    const Result<std::vector<PieceSource>> pieces = pieces_of(state, rank);
    if (!pieces.ok()) {
        return pieces.error();
    }
    Status status = part.write_pieces(kModelFileName, pieces.value());
    const OwnFile own = own_file_of(state, rank);
    if (status.ok()) {
        status = part.add(
            optimizer_file_name(rank + 1, state.rank_count()), own.fragments, own.metadata);
    }
    return status.ok() ? part.finish() : Result<PartRecord>(status.error());
}

Result<PendingSave> sealed_parted_save(fs::FileSystem& file_system,
                                       Result<PendingSave> opened,
                                       const PartedState& state,
                                       Manifest manifest,
                                       TransferBuffers& buffers) {
    if (!opened.ok()) {
        return opened.error();
    }
    PendingSave save = std::move(opened).value();
    if (const auto layout = save.create_shared(kModelFileName, infos_of(state.model));
        !layout.ok()) {
        return layout.error();
    }
    std::vector<PartRecord> parts;
    for (std::int64_t rank = 0; rank < state.rank_count(); ++rank) {
        const Result<PartRecord> part =
            write_part(file_system, save.directory(), state, rank, buffers);
        if (!part.ok()) {
            return part.error();
        }
        parts.push_back(parse_part_record(print_part_record(part.value()).value()).value());
    }
    Status status = save.adopt(parts);
    manifest.identity.save_id = save.save_id();
    if (status.ok()) {
        status = save.seal(std::move(manifest));
    }
    if (!status.ok()) {
        return status.error();
    }
    return save;
}

}  // namespace holdfast::checkpoint
