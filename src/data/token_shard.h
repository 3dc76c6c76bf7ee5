// A token shard: one file of tokens, mapped for reading.
//
// Three formats are read as they are, told apart by their first bytes (docs/data-format.md):
//   llm.c uint16   1024-byte header, magic 20240520, version 1, then uint16 tokens
//   llm.c uint32   1024-byte header, magic 20240801, version 7, then uint32 tokens
//   raw uint16     no header (nanoGPT's train.bin); taken only for names that end in ".bin"
// All little-endian. A file may be larger than 2 GiB. What is none of these is told in one line.
//
// The bytes stay on disk and are read through a mapping: a file that is cut short by somebody else
// while it is open ends the process with SIGBUS. Leave the data of a run alone, or put a new
// version under a new name.
//
// Thread use: reading is const and any number of threads may do it. Blocking: every read may wait
// for the disk.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "fs/file_system.h"

namespace holdfast::data {

enum class ShardFormat { kLlmcUint16, kLlmcUint32, kRawUint16 };

// "llm.c uint16", "llm.c uint32", "raw uint16".
std::string_view to_string(ShardFormat format);

class TokenShard {
public:
    // Maps the file, finds its format and checks that header and length agree. kNotFound or kIo
    // when it cannot be opened; kInvalid when it is another kind of file; kCorrupt when it says it
    // is a shard and its length, version or count is wrong. `file_system` is not kept.
    static base::Result<TokenShard> open(fs::FileSystem& file_system, const std::string& path);

    [[nodiscard]] const std::string& path() const { return path_; }
    [[nodiscard]] ShardFormat format() const { return format_; }
    [[nodiscard]] std::int64_t token_count() const { return token_count_; }
    [[nodiscard]] std::uint64_t file_bytes() const { return mapping_->bytes().size(); }

    // One token; index in [0, token_count()). A uint32 token above 2^31 - 1 reads as negative,
    // which check_tokens() refuses.
    [[nodiscard]] std::int32_t token(std::int64_t index) const;

    // The tokens [begin, begin + out.size()), which must be inside the shard.
    void copy(std::int64_t begin, std::span<std::int32_t> out) const;

    // Reads every token once and refuses the first that is not below `vocab_size` (kInvalid: path,
    // position, value). With `file_checksum_expected` the same pass takes the XXH3-64 of the whole
    // file and refuses another one (kCorrupt). Runs at the speed of the disk or of memory.
    [[nodiscard]] base::Status check_tokens(
        std::int64_t vocab_size,
        std::optional<std::uint64_t> file_checksum_expected = std::nullopt) const;

    // Names the content without reading all of it: XXH3-64 over the token count and the length of
    // the file as little-endian 64-bit numbers, the header if there is one, and kSampledBlocks
    // blocks of 64 KiB of the token bytes, block i at floor(i * (token bytes - 65536) /
    // (kSampledBlocks - 1)) (all token bytes where there are no more than the blocks hold). The
    // path has no part in it.
    [[nodiscard]] std::uint64_t sampled_checksum() const;
    static constexpr std::uint64_t kSampledBlocks = 16;

private:
    TokenShard(std::string path,
               std::unique_ptr<fs::Mapping> mapping,
               ShardFormat format,
               std::int64_t token_count);

    // The bytes after the header.
    [[nodiscard]] std::span<const std::byte> token_bytes() const;

    std::string path_;
    std::unique_ptr<fs::Mapping> mapping_;
    ShardFormat format_;
    std::int64_t token_count_;
};

}  // namespace holdfast::data
