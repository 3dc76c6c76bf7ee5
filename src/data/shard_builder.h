// Documents in, token shards and their description out: the streaming heart of prepare().
#pragma once

#include <cstdint>
#include <string>

#include "base/checksum.h"
#include "base/result.h"
#include "data/dataset_sidecar.h"
#include "data/held_out_split.h"
#include "data/ordered_encoder.h"
#include "data/prepare.h"
#include "data/shard_writer.h"
#include "data/text_source.h"
#include "fs/file_system.h"
#include "tokenizer/tokenizer.h"

namespace holdfast::data {

// What names the input of a dataset: XXH3-128 over each document's length (u64) and bytes, in
// order.
class InputHash {
public:
    void begin_document(std::uint64_t bytes);
    void update(std::string_view text) { checksum_.update(text); }
    [[nodiscard]] base::Hash128 digest() const { return checksum_.digest128(); }
    [[nodiscard]] std::uint64_t documents() const { return documents_; }

private:
    base::StreamingChecksum checksum_;
    std::uint64_t documents_ = 0;
};

// For one dataset; one thread at a time.
class ShardBuilder {
public:
    // Everything given must outlive the builder; `folder` must exist. `options.threads` >= 1.
    ShardBuilder(fs::FileSystem& file_system,
                 const std::string& folder,
                 const tokenizer::Tokenizer& tokenizer,
                 const PrepareOptions& options,
                 SplitRule rule);

    // Reads `source` to its end and writes the shards. To be called once.
    base::Result<DatasetSidecar> build(TextSource& source);

private:
    base::Status add_document(TextSource& source, const TextDocument& document);
    base::Result<std::uint64_t> held_out_begin(TextSource& source, const TextDocument& document);
    base::Status add_section(TextSource& source,
                             const TextDocument& document,
                             std::uint64_t bytes,
                             bool held_out);
    base::Status cut_and_submit(const TextDocument& document, TextBlock::Part& part);
    base::Status submit_block();
    base::Status write_oldest();

    const tokenizer::Tokenizer& tokenizer_;
    const PrepareOptions& options_;
    SplitRule rule_;
    ShardWriter train_;
    ShardWriter val_;
    OrderedEncoder encoder_;
    DocumentDraw draw_;
    InputHash hash_;
    TextBlock block_;  // being filled
    EncodedBlock encoded_;
    DatasetSidecar sidecar_;
    PrepareProgress progress_;
};

}  // namespace holdfast::data
