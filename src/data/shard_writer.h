// Token shards in llm.c's format, written so that no shard is ever seen half done.
//
// A shard: int32[256] header (magic 20240520, version 1, token count, zeros), then the tokens as
// uint16, all little-endian (docs/data-preparation.md). Each is written as "<name>.new", fsynced
// and renamed when it is full or at finish().
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "fs/file_system.h"

namespace holdfast::data {

inline constexpr std::int32_t kShardMagic = 20240520;
inline constexpr std::int32_t kShardVersion = 1;
inline constexpr std::uint64_t kShardHeaderBytes = 1024;
// The header's token count is a signed 32-bit number.
inline constexpr std::uint64_t kShardTokensLimit = (std::uint64_t{1} << 31U) - 1;

struct ShardSummary {
    std::string name;  // "train_000001.bin"
    std::uint64_t tokens = 0;
    std::uint64_t bytes = 0;     // 1024 + 2 * tokens
    std::uint64_t checksum = 0;  // XXH3-64 of the whole file, header included
    bool operator==(const ShardSummary&) const = default;
};

// Cuts one stream of tokens into shards `<directory>/<prefix>_NNNNNN.bin`, numbered from
// `first_number`; a document may cross from one into the next. An object destroyed before finish()
// leaves the shard it was writing under its temporary name. One thread at a time; append() and
// finish() may block on the disk.
class ShardWriter {
public:
    // `file_system` must outlive the writer; `directory` must exist. 1 <= shard_tokens_max <=
    // kShardTokensLimit. Nothing is written before the first token.
    ShardWriter(fs::FileSystem& file_system,
                std::string directory,
                std::string prefix,
                std::uint32_t first_number,
                std::uint64_t shard_tokens_max);
    ~ShardWriter();
    ShardWriter(const ShardWriter&) = delete;
    ShardWriter& operator=(const ShardWriter&) = delete;
    ShardWriter(ShardWriter&&) = delete;
    ShardWriter& operator=(ShardWriter&&) = delete;

    // After an error the writer is of no further use.
    base::Status append(std::span<const std::uint16_t> tokens);
    // Ends the last shard and returns them all, in order; none when there were no tokens.
    base::Result<std::vector<ShardSummary>> finish();

private:
    base::Status open_shard();
    base::Status flush();
    base::Status seal_shard();

    fs::FileSystem& file_system_;
    std::string directory_;
    std::string prefix_;
    std::uint32_t next_number_;
    std::uint64_t shard_tokens_max_;
    std::unique_ptr<fs::File> file_;  // none between shards
    ShardSummary open_;               // the shard in `file_`
    std::uint64_t flushed_tokens_ = 0;
    std::vector<std::uint16_t> buffer_;
    std::vector<ShardSummary> sealed_;
};

}  // namespace holdfast::data
