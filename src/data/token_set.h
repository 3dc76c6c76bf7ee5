// A token set: the token shards of one split, open and in order, with what the sidecar says of
// them.
//
// Owns the mappings. Knows tokens and files; knows nothing of windows, order or batches.
//
// Thread use: const after open; any number of threads may read. Blocking: open() reads headers and
// samples, check_tokens() reads everything.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "data/shard_files.h"
#include "data/token_shard.h"
#include "fs/file_system.h"

namespace holdfast::data {

// What dataset.json (data/dataset_sidecar.h) says of the tokenizer; the same for all shards of a
// set.
struct TokenizerNote {
    std::string tokenizer;                    // gpt2 | bytes | a file
    std::uint64_t tokenizer_fingerprint = 0;  // names the vocabulary itself
    std::int64_t vocab_size = 0;
    std::int32_t end_of_text = 0;
    bool operator==(const TokenizerNote&) const = default;
};

class TokenSet {
public:
    // Finds (find_shard_files), opens and describes the shards. Where a folder has a dataset.json,
    // the shards in it must be listed there with the counts they have, and a folder that was named
    // as a whole must have all that are listed: else kCorrupt. kInvalid when the sidecars of two
    // folders disagree about the tokenizer. Else as find_shard_files and TokenShard::open.
    static base::Result<TokenSet> open(fs::FileSystem& file_system,
                                       const std::vector<std::string>& sources,
                                       Split split);

    [[nodiscard]] Split split() const { return split_; }
    [[nodiscard]] const std::vector<TokenShard>& shards() const { return shards_; }
    [[nodiscard]] std::int64_t token_count() const;

    // What every shard's sidecar says; nothing when a shard has none.
    [[nodiscard]] const std::optional<TokenizerNote>& tokenizer() const { return tokenizer_; }
    // Bytes of the text the tokens were made of (for bits per byte); nothing unless the set is
    // made of whole splits of prepared folders.
    [[nodiscard]] std::optional<std::int64_t> text_bytes() const { return text_bytes_; }

    // Reads every token of every shard once: TokenShard::check_tokens, with the sidecar's checksums
    // where there are some. A run does it before its first step.
    [[nodiscard]] base::Status check_tokens(std::int64_t vocab_size) const;

    // Names the data, wherever it lies: XXH3-64 over the shards' sampled_checksum() in order, each
    // 8 bytes little-endian. Equal sets have equal fingerprints after a move or a rename that keeps
    // the order.
    [[nodiscard]] std::uint64_t fingerprint() const { return fingerprint_; }

    // "12 shards, 1.18B tokens, llm.c uint16, tokenizer gpt2": for the log.
    [[nodiscard]] std::string in_words() const;

private:
    explicit TokenSet(Split split) : split_(split) {}
    void add(TokenShard shard, std::optional<std::uint64_t> file_checksum);
    void take_fingerprint();

    Split split_;
    std::vector<TokenShard> shards_;
    std::vector<std::optional<std::uint64_t>> file_checksums_;  // a shard, from its sidecar
    std::optional<TokenizerNote> tokenizer_;
    std::optional<std::int64_t> text_bytes_;
    std::uint64_t fingerprint_ = 0;
};

}  // namespace holdfast::data
