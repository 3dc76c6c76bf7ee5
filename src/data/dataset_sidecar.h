// dataset.json: what a prepared folder holds and how it was made. The only place that writes or
// reads its text form (docs/data-preparation.md has an example).
//
// It names no absolute path and no time, so the same input gives the same bytes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/checksum.h"
#include "base/result.h"
#include "data/shard_writer.h"
#include "fs/file_system.h"

namespace holdfast::data {

inline constexpr std::string_view kSidecarName = "dataset.json";

enum class SplitRule {
    kAllTrain,   // val_fraction 0: there is no validation set
    kDocuments,  // whole documents were drawn
    kTails       // the tail of each document
};

struct DatasetSplit {
    std::uint64_t documents = 0;   // pieces that begin with end-of-text
    std::uint64_t text_bytes = 0;  // of the text as it was read; for bits per byte
    std::uint64_t tokens = 0;      // end-of-text included
    std::vector<ShardSummary> shards;
    bool operator==(const DatasetSplit&) const = default;
};

struct DatasetSidecar {
    std::string tokenizer;
    std::uint64_t tokenizer_fingerprint = 0;
    std::uint32_t vocab_size = 0;
    std::uint32_t end_of_text = 0;  // prepended to each document
    base::Hash128 input_hash;       // XXH3-128 over each document's length (u64) and bytes
    std::uint64_t input_documents = 0;
    double val_fraction = 0.0;
    std::uint64_t shard_tokens_max = 0;
    SplitRule split_rule = SplitRule::kAllTrain;
    DatasetSplit train;
    DatasetSplit val;
    bool operator==(const DatasetSidecar&) const = default;
};

[[nodiscard]] std::string to_json(const DatasetSidecar& sidecar);
// kCorrupt when `text` is not a sidecar of a version this program knows; `path` is for the message.
base::Result<DatasetSidecar> parse_sidecar(std::string_view text, std::string_view path);
// Of a prepared folder; kNotFound when it has none.
base::Result<DatasetSidecar> read_sidecar(fs::FileSystem& file_system,
                                          const std::string& directory);

}  // namespace holdfast::data
