#include "train/run_data.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/checksum.h"
#include "data/shard_files.h"
#include "tokenizer/tokenizer.h"

namespace holdfast::train {

using base::Error;
using base::ErrorKind;
using base::Result;
using base::Status;

namespace {

Status check_tokenizer(const data::TokenSet& set,
                       const data::DataConfig& config,
                       const tokenizer::Tokenizer& tokenizer,
                       std::string_view what) {
    const std::optional<data::TokenizerNote>& note = set.tokenizer();
    if (!note) {
        return Status{};  // foreign shards do not say; check_tokens finds ids that cannot be
    }
    if (note->tokenizer != config.tokenizer) {
        return Error{
            ErrorKind::kInvalid,
            fmt::format("the {} data was made with the tokenizer {}, data.tokenizer is {}: set "
                        "--data.tokenizer {} or prepare the text again",
                        what,
                        note->tokenizer,
                        config.tokenizer,
                        note->tokenizer),
            0};
    }
    if (note->tokenizer_fingerprint != tokenizer.fingerprint()) {
        return Error{ErrorKind::kInvalid,
                     fmt::format("the {} data was made with another version of the tokenizer {} "
                                 "(fingerprint {}, this program has {}): prepare the text again",
                                 what,
                                 note->tokenizer,
                                 base::to_hex(note->tokenizer_fingerprint),
                                 base::to_hex(tokenizer.fingerprint())),
                     0};
    }
    return Status{};
}

Result<std::unique_ptr<data::TokenSet>> open_set(fs::FileSystem& file_system,
                                                 const std::vector<std::string>& sources,
                                                 data::Split split) {
    Result<data::TokenSet> opened = data::TokenSet::open(file_system, sources, split);
    if (!opened.ok()) {
        return opened.error();
    }
    return std::make_unique<data::TokenSet>(std::move(opened).value());
}

}  // namespace

std::string RunData::fingerprint() const {
    std::string text = base::to_hex(train->fingerprint());
    for (const NamedTokenSet& set : val) {
        text += set.name + '=' + base::to_hex(set.tokens->fingerprint());
    }
    return base::to_hex(base::checksum64(text));
}

Result<RunData> open_run_data(fs::FileSystem& file_system,
                              const data::DataConfig& config,
                              std::int64_t vocab_size) {
    const auto tokenizer = tokenizer::make_tokenizer(config.tokenizer);
    if (!tokenizer.ok()) {
        return tokenizer.error();
    }
    RunData result;
    result.vocab_size = tokenizer.value()->vocab_size();
    if (vocab_size != 0 && vocab_size < result.vocab_size) {
        return Error{
            ErrorKind::kInvalid,
            fmt::format(
                "model.vocab_size is {}, the tokenizer {} has {} ids: leave it out to follow "
                "the data",
                vocab_size,
                config.tokenizer,
                result.vocab_size),
            0};
    }
    result.vocab_size = std::max(result.vocab_size, vocab_size);
    Result<std::unique_ptr<data::TokenSet>> train =
        open_set(file_system, config.train, data::Split::kTrain);
    if (!train.ok()) {
        return train.error();
    }
    result.train = std::move(train).value();
    Status checked = check_tokenizer(*result.train, config, *tokenizer.value(), "training");
    if (!checked.ok()) {
        return checked.error();
    }
    const Result<std::vector<data::NamedSources>> named = data::named_sources(config.val);
    if (!named.ok()) {
        return named.error();
    }
    for (const data::NamedSources& group : named.value()) {
        Result<std::unique_ptr<data::TokenSet>> val =
            open_set(file_system, group.sources, data::Split::kVal);
        if (!val.ok()) {
            return val.error();
        }
        checked = check_tokenizer(*val.value(), config, *tokenizer.value(), "validation");
        if (!checked.ok()) {
            return checked.error();
        }
        // The first set is val_loss, whatever it is called.
        result.val.push_back({result.val.empty() ? "" : group.name, std::move(val).value()});
    }
    return result;
}

Status check_run_data(const RunData& data) {
    const Status train = data.train->check_tokens(data.vocab_size);
    if (!train.ok()) {
        return train;
    }
    for (const NamedTokenSet& set : data.val) {
        const Status val = set.tokens->check_tokens(data.vocab_size);
        if (!val.ok()) {
            return val;
        }
    }
    return Status{};
}

}  // namespace holdfast::train
