// The data of a run, opened and checked against its settings: one training set, any number of
// validation sets.
//
// Owns the token sets and their mappings. Const after open; lives as long as the loaders made from
// it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "data/data_config.h"
#include "data/token_set.h"
#include "data/validation_set.h"
#include "data/window_map.h"
#include "fs/file_system.h"

namespace holdfast::train {

struct NamedTokenSet {
    std::string name;  // empty for the first: its loss is val_loss
    std::unique_ptr<data::TokenSet> tokens;
};

struct RunData {
    std::unique_ptr<data::TokenSet> train;
    std::vector<NamedTokenSet> val;
    std::int64_t vocab_size = 0;  // of the tokenizer the shards were made with

    // 16 hex digits over the fingerprints of all sets: equal for equal data wherever it lies.
    [[nodiscard]] std::string fingerprint() const;
};

// Opens everything `config` names; no token is read yet. `vocab_size` is the asked-for one, 0 to
// follow the data. Errors (kInvalid, kNotFound, kCorrupt): those of TokenSet::open; shards made
// with another tokenizer than data.tokenizer; a vocabulary smaller than the data's; the same name
// for two validation sets.
base::Result<RunData> open_run_data(fs::FileSystem& file_system,
                                    const data::DataConfig& config,
                                    std::int64_t vocab_size);

// Reads every token once, so that a bad one is found before the first step and not in the night.
// Blocks.
base::Status check_run_data(const RunData& data);

}  // namespace holdfast::train
