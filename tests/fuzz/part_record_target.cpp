// What a rank answers of its part: what parses prints again to the same record, and what was taken
// is in range.
#include "checkpoint/part_record.h"
#include "fuzz/checksummed_text.h"
#include "fuzz/fuzz_target.h"

namespace holdfast::fuzz {

using checkpoint::ChunkRecord;
using checkpoint::PartRecord;

namespace {

void check_name(const std::string& name) {
    require(checkpoint::is_data_file_name(name) && name.find('/') == std::string::npos &&
                name.front() != '.' && name != "checkpoint.json",
            "a file has a plain name, not that of the manifest");
}

std::uint64_t bytes_of(const std::vector<ChunkRecord>& chunks) {
    std::uint64_t bytes = 0;
    for (const ChunkRecord& chunk : chunks) {
        require(chunk.bytes >= 1 && chunk.bytes <= checkpoint::kChunkBytes,
                "a chunk has a possible size");
        bytes += chunk.bytes;
    }
    return bytes;
}

void check_values(const PartRecord& record) {
    require(checkpoint::is_save_id(record.save_id), "the save id is 16 hex digits");
    require(record.rank >= 0 && record.rank <= checkpoint::kRankMax, "the rank is in range");
    for (const checkpoint::FileRecord& file : record.files) {
        check_name(file.name);
        require(bytes_of(file.chunks) == file.bytes, "chunks tile their file");
    }
    for (const checkpoint::PieceRecord& piece : record.pieces) {
        check_name(piece.file_name);
        require(bytes_of(piece.chunks) > 0, "a piece is not empty");
        require(piece.offset + bytes_of(piece.chunks) > piece.offset, "a piece has an end");
    }
}

bool check_text(std::string_view text) {
    const auto record = checkpoint::parse_part_record(text);
    if (!record.ok()) {
        require_one_line(record.error());
        return false;
    }
    check_values(record.value());
    const auto printed = checkpoint::print_part_record(record.value());
    require(printed.ok(), "what parses can be printed");
    const auto again = checkpoint::parse_part_record(printed.value());
    require(again.ok() && again.value() == record.value(), "what is printed parses to the same");
    return true;
}

}  // namespace

bool check_part_record(std::string_view input) {
    const bool taken = check_text(input);
    return check_text(with_right_checksum(input)) || taken;
}

std::vector<std::string> part_record_seeds() {
    const PartRecord nothing{.save_id = "0123456789abcdef", .files = {}, .pieces = {}};
    checkpoint::FileRecord file{"optimizer-00002-of-00004.safetensors",
                                checkpoint::kChunkBytes + 4096,
                                {{4096, 7}, {checkpoint::kChunkBytes, UINT64_MAX}},
                                0};
    file.checksum = checkpoint::chunks_checksum(file.chunks);
    const PartRecord full{
        .save_id = "00000000000000ff",
        .rank = 3,
        .readback = checkpoint::Readback::kDevice,
        .files = {file},
        .pieces = {{"model.safetensors", 4096, {{checkpoint::kChunkBytes, 1}, {3, 2}}},
                   {"model.safetensors", UINT64_C(1) << 40U, {{12, 3}}}}};
    return {checkpoint::print_part_record(nothing).value(),
            checkpoint::print_part_record(full).value()};
}

}  // namespace holdfast::fuzz
