// dataset.json: what parses prints again to the same sidecar; and a folder that it stands in opens
// or is refused in one line.
#include "data/dataset_sidecar.h"
#include "data/token_set.h"
#include "fuzz/fuzz_target.h"
#include "fuzz/memory_files.h"

namespace holdfast::fuzz {

using data::DatasetSidecar;
using data::DatasetSplit;

namespace {

void check_split(const DatasetSplit& split) {
    std::uint64_t tokens = 0;
    for (const data::ShardSummary& shard : split.shards) {
        require(!shard.name.empty() && shard.name != "." && shard.name != ".." &&
                    shard.name.find('/') == std::string::npos &&
                    shard.name.find('\0') == std::string::npos,
                "a shard has a plain name");
        require(shard.tokens <= split.tokens - tokens, "tokens of shards are a part of all");
        tokens += shard.tokens;
    }
    require(tokens == split.tokens, "the tokens of the shards add up");
}

// A prepared folder with this sidecar and one shard of four tokens.
void check_folder(std::string_view sidecar) {
    std::string shard(1024 + 8, '\0');
    shard.replace(0, 12, std::string("\x88\xD8\x34\x01\x01\0\0\0\x04\0\0\0", 12));
    MemoryFiles files(
        {{"data/dataset.json", std::string(sidecar)}, {"data/train_000000.bin", std::move(shard)}});
    const auto set = data::TokenSet::open(files, {"data"}, data::Split::kTrain);
    if (!set.ok()) {
        require_one_line(set.error());
        return;
    }
    require(set.value().token_count() == 4, "a set has the tokens of its shards");
    const base::Status checked = set.value().check_tokens(50257);
    if (!checked.ok()) {
        require_one_line(checked.error());
    }
    require(set.value().text_bytes().value_or(0) >= 0, "bytes of text are not negative");
    if (const auto& note = set.value().tokenizer()) {
        require(
            note->vocab_size >= 1 && note->end_of_text >= 0 && note->end_of_text < note->vocab_size,
            "end-of-text is a token of the vocabulary");
    }
}

}  // namespace

bool check_dataset_sidecar(std::string_view input) {
    const auto sidecar = data::parse_sidecar(input, "data/dataset.json");
    check_folder(input);
    if (!sidecar.ok()) {
        require_one_line(sidecar.error());
        return false;
    }
    require(sidecar.value().end_of_text < sidecar.value().vocab_size,
            "end-of-text is a token of the vocabulary");
    require(sidecar.value().val_fraction >= 0 && sidecar.value().val_fraction < 1,
            "a fraction is one");
    check_split(sidecar.value().train);
    check_split(sidecar.value().val);
    const auto again = data::parse_sidecar(data::to_json(sidecar.value()), "again");
    require(again.ok() && again.value() == sidecar.value(), "what is printed parses to the same");
    return true;
}

std::vector<std::string> dataset_sidecar_seeds() {
    DatasetSidecar sidecar;
    sidecar.tokenizer = "gpt2";
    sidecar.tokenizer_fingerprint = 0xfedcba9876543210ULL;
    sidecar.vocab_size = 50257;
    sidecar.end_of_text = 50256;
    sidecar.input_hash = {1, 0xffffffffffffffffULL};
    sidecar.input_documents = 7;
    sidecar.val_fraction = 0.1;
    sidecar.shard_tokens_max = 100;
    sidecar.split_rule = data::SplitRule::kTails;
    sidecar.train = {
        .documents = 1, .text_bytes = 9, .tokens = 4, .shards = {{"train_000000.bin", 4, 1032, 5}}};
    sidecar.val = {.documents = 7,
                   .text_bytes = 9,
                   .tokens = 7,
                   .shards = {{"val_000000.bin", 3, 1030, 7}, {"val_000001.bin", 4, 1032, 7}}};
    DatasetSidecar empty = sidecar;
    empty.split_rule = data::SplitRule::kAllTrain;
    empty.val_fraction = 0;
    empty.val = {};
    return {data::to_json(sidecar), data::to_json(empty)};
}

}  // namespace holdfast::fuzz
