// Text to a folder of token shards: `train_000001.bin`..., `val_000000.bin`..., `dataset.json`.
//
// The folder appears whole or not at all: everything is written in "<out_dir>.preparing" and
// renamed at the end. What a killed call left there is cleared by the next one. The bytes are a
// pure function of inputs, tokenizer, val_fraction and shard_tokens_max; the number of threads
// changes nothing.
//
// Which text is held out for validation, the end-of-text rule and the folder's contents are
// written down in docs/data-preparation.md.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "data/dataset_sidecar.h"
#include "fs/file_system.h"

namespace holdfast::data {

// Longest stretch of one document that may have no place to cut (for gpt2: no white space).
inline constexpr std::uint64_t kUncutBytesMax = std::uint64_t{16} << 20U;

// Least val_fraction other than 0: one document in a million.
inline constexpr double kValFractionMin = 1e-6;

struct PrepareProgress {
    std::uint64_t input_bytes_done = 0;
    std::uint64_t input_bytes_total = 0;
    std::uint64_t tokens = 0;  // written so far
};

struct PrepareOptions {
    std::vector<std::string> inputs;  // as TextSource takes them
    std::string out_dir;
    std::string tokenizer = "gpt2";
    double val_fraction = 0.01;                    // of documents or bytes; 0: none, else to 0.5
    std::uint64_t shard_tokens_max = 100'000'000;  // 200 MB a shard
    std::uint32_t threads = 0;                     // that encode; 0: one a processor
    bool overwrite = false;  // replace a folder that was prepared from something else
    // Called on the calling thread after each block; may be empty.
    std::function<void(const PrepareProgress&)> on_progress;
};

struct PrepareSummary {
    DatasetSidecar dataset;
    bool already_prepared = false;  // the folder held exactly this before; nothing was written
};

// Blocks until done. Memory: about 12 MiB and 6 MiB a thread, and a few times the longest JSONL
// line or stretch without a cut (docs/data-preparation.md). An `out_dir` already prepared from the
// same input with the same options is left as it is. Errors, `out_dir` unchanged: those of
// TextSource and the disk; kInvalid (an option out of range, an unknown tokenizer, a stretch longer
// than kUncutBytesMax, no text, too little text for a validation set); kExists (`out_dir` holds
// another dataset and `overwrite` is off, or files that are not a dataset); kBusy (another process
// prepares it).
base::Result<PrepareSummary> prepare(fs::FileSystem& file_system, PrepareOptions options);

}  // namespace holdfast::data
