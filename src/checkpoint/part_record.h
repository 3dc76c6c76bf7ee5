// What one rank wrote of a checkpoint, as it answers the rank that publishes: a value that travels
// as text between processes.
//
// The text is one JSON object in the form of the manifest, its checksum as the last line. It comes
// from another process, so it is believed only when every field is strict and in range; sizes are
// checked before anything is made room for. Values; pure functions; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "checkpoint/manifest.h"

namespace holdfast::checkpoint {

inline constexpr std::uint64_t kPartRecordBytesMax = kManifestBytesMax;
// Ranks and offsets beyond are nobody's: sums of them cannot overflow.
inline constexpr std::int64_t kRankMax = 1'000'000;
inline constexpr std::int64_t kPieceOffsetMax = std::int64_t{1} << 60U;

// A stretch of a file that several ranks write together. Chunks tile it from `offset`.
struct PieceRecord {
    std::string file_name;
    std::uint64_t offset = 0;
    std::vector<ChunkRecord> chunks;  // not empty
    bool operator==(const PieceRecord&) const = default;
};

struct PartRecord {
    std::string save_id;  // of the pending save it was written into
    std::int64_t rank = 0;
    Readback readback = Readback::kCache;  // kDevice: of every byte of the part
    std::vector<FileRecord> files;         // written by this rank alone
    std::vector<PieceRecord> pieces;       // of shared files
    bool operator==(const PartRecord&) const = default;
};

// kInvalid when a value is out of its range, a name not plain or there twice, or chunks do not add
// up.
base::Status check_part_record(const PartRecord& record);

// kInvalid as above.
base::Result<std::string> print_part_record(const PartRecord& record);

// kCorrupt with the reason; kInvalid when another version of the program wrote it.
base::Result<PartRecord> parse_part_record(std::string_view text);

}  // namespace holdfast::checkpoint
