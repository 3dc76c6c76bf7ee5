// What a checkpoint says about itself: checkpoint.json, written last, believed first.
//
// The file is one JSON object, one field a line. Its last line is `"checksum":"<16 hex>"}` and a
// newline: XXH3-64 of all bytes before that line, compared as bytes; nothing may follow. Fields are
// strict: a missing, unknown or doubled one, a wrong type or a value out of range is kCorrupt.
// docs/checkpoint-format.md has the bytes. Values; pure functions; any thread.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "checkpoint/checkpoint_name.h"

namespace holdfast::checkpoint {

inline constexpr std::int64_t kFormatVersion = 1;
inline constexpr std::uint64_t kManifestBytesMax = 64ULL << 20U;
inline constexpr std::uint64_t kChunkBytes = 16ULL << 20U;

// What a checkpoint is, whatever its name: ordered by (lineage, step), never by a clock.
struct Identity {
    std::int64_t lineage = 1;
    std::int64_t step = 0;
    std::string save_id;
    // NOLINTNEXTLINE(modernize-use-nullptr): clang-tidy 14 sees a 0 in the comparison it makes
    auto operator<=>(const Identity&) const = default;
};

// The lowest validation loss of the run so far, on the validation set named by `validation`.
struct BestSoFar {
    std::int64_t step = 0;
    double val_loss = 0;     // finite
    std::string validation;  // fingerprint of the set; another set resets the best
    bool operator==(const BestSoFar&) const = default;
};

// The next sample to consume, and where that is on disk. An exhausted epoch is written as the
// beginning of the next, so `epoch` counts the epochs done.
struct CursorRecord {
    std::int64_t epoch = 0;
    std::int64_t sample = 0;  // global sample index in the epoch
    std::string shard;        // name of the token shard it means, for people and as a check
    std::int64_t offset = 0;  // tokens into that shard
    bool operator==(const CursorRecord&) const = default;
};

// probe_value() of one random stream under the seed (base/philox.h), recomputed at resume.
struct StreamProbe {
    std::string stream;
    std::uint64_t value = 0;
    bool operator==(const StreamProbe&) const = default;
};

// The part of metrics.jsonl that belongs to this checkpoint: the lines up to the step before.
struct LogPrefix {
    std::uint64_t bytes = 0;
    std::uint64_t checksum = 0x2d06800538d394c2ULL;  // XXH3-64 of those bytes
    bool operator==(const LogPrefix&) const = default;
};

struct ChunkRecord {
    std::uint64_t bytes = 0;  // 1 .. kChunkBytes
    std::uint64_t checksum = 0;
    bool operator==(const ChunkRecord&) const = default;
};

// One file of the checkpoint. Chunks tile it from byte 0.
struct FileRecord {
    std::string name;  // a plain file name
    std::uint64_t bytes = 0;
    std::vector<ChunkRecord> chunks;
    std::uint64_t checksum = 0;  // chunks_checksum(chunks)
    bool operator==(const FileRecord&) const = default;
};

// XXH3-64 over the chunk sums as little-endian 64-bit words, in order.
std::uint64_t chunks_checksum(const std::vector<ChunkRecord>& chunks);

enum class EvaluationState { kNone, kDue };
// Whether the bytes compared after writing came from the device or may have come from memory.
enum class Readback { kDevice, kCache };

struct Manifest {
    std::string run_id;
    Identity identity;
    // The checkpoints at which lineages of this line began, oldest first; the last is the parent.
    // Empty in lineage 1; size < lineage always. Every entry of a lineage repeats it.
    std::vector<Identity> ancestors;
    std::int64_t created_utc_seconds = 0;  // for names and people, never for order
    std::string phase = "base";
    std::string metrics_line = "{}";  // JSON object text: the line of the step, without val_loss
    std::optional<BestSoFar> best;
    EvaluationState evaluation = EvaluationState::kNone;
    std::int64_t tokens = 0;  // consumed by the run so far
    CursorRecord cursor;
    std::uint64_t seed = 0;
    std::int64_t lanes = 1;
    std::vector<StreamProbe> probes;
    std::string config = "{}";  // resolved config, JSON object text
    std::string data_fingerprint;
    std::string environment = "{}";  // what the promises rest on, JSON object text
    std::vector<Pool> owed;  // pools the entry must also join, never a backup (settled: catalog.h)
    LogPrefix log;
    Readback readback = Readback::kCache;  // filled by PendingSave
    std::vector<FileRecord> files;         // filled by PendingSave
    bool operator==(const Manifest&) const = default;

    [[nodiscard]] std::optional<Identity> parent() const {
        return ancestors.empty() ? std::nullopt : std::optional<Identity>(ancestors.back());
    }
    [[nodiscard]] std::uint64_t files_bytes() const;  // sum over files
};

// The text of checkpoint.json. Parses it again and HF_CHECKs that nothing changed. kInvalid when a
// JSON text field is not an object or a value is out of its range. JSON texts are stored in compact
// form, numbers to the same bits.
base::Result<std::string> print_manifest(const Manifest& manifest);

// kCorrupt with the reason (checksum first, then the field); kInvalid when the format version is
// newer than this program knows.
base::Result<Manifest> parse_manifest(std::string_view text);

// 1..255 bytes of letters, digits, '.', '_', '-'; not starting with '.'.
bool is_plain_file_name(std::string_view name);
// A plain file name that is not the manifest's: what `files` may list.
bool is_data_file_name(std::string_view name);

}  // namespace holdfast::checkpoint
