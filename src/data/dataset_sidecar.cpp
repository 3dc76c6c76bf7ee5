#include "data/dataset_sidecar.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/words.h"
#include "fs/durable_write.h"

namespace holdfast::data {

using base::Error;
using base::ErrorKind;
using base::Result;

namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kFormat = "holdfast dataset";
constexpr std::uint32_t kFormatVersion = 1;
constexpr std::string_view kEndOfTextPlace = "before each document";
// Whole numbers up to here are the same in every JSON reader, and sums of many of them fit.
constexpr std::uint64_t kWholeMax = std::uint64_t{1} << 53U;
// Token ids are signed 32-bit numbers everywhere else.
constexpr std::uint64_t kIdMax = INT32_MAX;
constexpr std::uint64_t kSidecarBytesMax = std::uint64_t{64} << 20U;

std::string_view to_string(SplitRule rule) {
    switch (rule) {
        case SplitRule::kAllTrain:
            return "all train";
        case SplitRule::kDocuments:
            return "documents";
        case SplitRule::kTails:
            return "tails";
    }
    return "";
}

Json split_to_json(const DatasetSplit& split) {
    Json shards = Json::array();
    for (const ShardSummary& shard : split.shards) {
        shards.push_back({{"name", shard.name},
                          {"tokens", shard.tokens},
                          {"bytes", shard.bytes},
                          {"xxh3", base::to_hex(shard.checksum)}});
    }
    return {{"documents", split.documents},
            {"text_bytes", split.text_bytes},
            {"tokens", split.tokens},
            {"shards", std::move(shards)}};
}

// Thrown and caught in this file: the parser of the library throws too, so one way out serves both.
struct Unreadable {
    std::string what;
};

std::uint64_t hex64(const std::string& text) {
    const auto value = base::parse_hex64(text);
    if (!value.has_value()) {
        throw Unreadable{fmt::format("\"{}\" is not a checksum", text)};
    }
    return *value;
}

void expect(bool condition, std::string_view what) {
    if (!condition) {
        throw Unreadable{std::string(what)};
    }
}

// The library would turn -1, 1e30 and "true" into whole numbers too.
std::uint64_t whole(const Json& object, const char* key, std::uint64_t most = kWholeMax) {
    const Json& value = object.at(key);
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() > most) {
        throw Unreadable{fmt::format("{} is not a whole number up to {}", key, most)};
    }
    return value.get<std::uint64_t>();
}

// A name that leads out of its folder, or upsets a terminal, is none.
bool is_plain_name(std::string_view name) {
    return !name.empty() && name != "." && name != ".." &&
           std::none_of(name.begin(), name.end(), [](char character) {
               const auto byte = static_cast<unsigned char>(character);
               return byte < 0x20 || byte == 0x7F || character == '/';
           });
}

DatasetSplit split_from_json(const Json& json) {
    DatasetSplit split;
    split.documents = whole(json, "documents");
    split.text_bytes = whole(json, "text_bytes");
    split.tokens = whole(json, "tokens");
    std::uint64_t tokens = 0;
    for (const Json& entry : json.at("shards")) {
        ShardSummary shard;
        entry.at("name").get_to(shard.name);
        shard.tokens = whole(entry, "tokens", kShardTokensLimit);
        shard.bytes = whole(entry, "bytes");
        shard.checksum = hex64(entry.at("xxh3").get<std::string>());
        expect(is_plain_name(shard.name), "a shard's name must be a plain file name");
        tokens += shard.tokens;
        split.shards.push_back(std::move(shard));
    }
    expect(tokens == split.tokens, "the tokens of the shards do not add up");
    return split;
}

SplitRule rule_from_json(const std::string& text) {
    for (const SplitRule rule : {SplitRule::kAllTrain, SplitRule::kDocuments, SplitRule::kTails}) {
        if (to_string(rule) == text) {
            return rule;
        }
    }
    throw Unreadable{fmt::format("split_rule \"{}\" is unknown", text)};
}

DatasetSidecar from_json(const Json& json) {
    expect(json.at("format").get<std::string>() == kFormat, "it is not a holdfast dataset");
    const std::uint64_t version = whole(json, "format_version");
    if (version != kFormatVersion) {
        throw Unreadable{
            fmt::format("its version is {}, this program knows {}", version, kFormatVersion)};
    }
    DatasetSidecar sidecar;
    const Json& tokenizer = json.at("tokenizer");
    tokenizer.at("name").get_to(sidecar.tokenizer);
    sidecar.tokenizer_fingerprint = hex64(tokenizer.at("fingerprint").get<std::string>());
    sidecar.vocab_size = static_cast<std::uint32_t>(whole(tokenizer, "vocab_size", kIdMax));
    sidecar.end_of_text = static_cast<std::uint32_t>(whole(json.at("end_of_text"), "id", kIdMax));
    expect(sidecar.end_of_text < sidecar.vocab_size,
           "end_of_text.id is not below tokenizer.vocab_size");
    expect(json.at("end_of_text").at("place").get<std::string>() == kEndOfTextPlace,
           "end_of_text.place is unknown");
    const Json& input = json.at("input");
    const auto hash = input.at("xxh3_128").get<std::string>();
    expect(hash.size() == 32, "input.xxh3_128 is not a checksum");
    sidecar.input_hash = {hex64(hash.substr(0, 16)), hex64(hash.substr(16))};
    sidecar.input_documents = whole(input, "documents");
    json.at("val_fraction").get_to(sidecar.val_fraction);
    expect(sidecar.val_fraction >= 0.0 && sidecar.val_fraction < 1.0,
           "val_fraction is not from 0 to below 1");
    sidecar.shard_tokens_max = whole(json, "shard_tokens_max");
    sidecar.split_rule = rule_from_json(json.at("split_rule").get<std::string>());
    sidecar.train = split_from_json(json.at("train"));
    sidecar.val = split_from_json(json.at("val"));
    return sidecar;
}

}  // namespace

std::string to_json(const DatasetSidecar& sidecar) {
    const Json json = {
        {"format", kFormat},
        {"format_version", kFormatVersion},
        {"tokenizer",
         {{"name", sidecar.tokenizer},
          {"fingerprint", base::to_hex(sidecar.tokenizer_fingerprint)},
          {"vocab_size", sidecar.vocab_size}}},
        {"end_of_text", {{"id", sidecar.end_of_text}, {"place", kEndOfTextPlace}}},
        {"input",
         {{"documents", sidecar.input_documents}, {"xxh3_128", base::to_hex(sidecar.input_hash)}}},
        {"val_fraction", sidecar.val_fraction},
        {"shard_tokens_max", sidecar.shard_tokens_max},
        {"split_rule", to_string(sidecar.split_rule)},
        {"train", split_to_json(sidecar.train)},
        {"val", split_to_json(sidecar.val)},
    };
    return json.dump(2) + "\n";
}

Result<DatasetSidecar> parse_sidecar(std::string_view text, std::string_view path) {
    constexpr std::size_t kShownBytesMax = 400;
    const auto refuse = [&](std::string_view what) {
        return Error{ErrorKind::kCorrupt,
                     fmt::format("{} cannot be read: {}; prepare the folder again",
                                 path,
                                 base::printable(what, kShownBytesMax)),
                     0};
    };
    try {
        return from_json(Json::parse(text));
    } catch (const Unreadable& unreadable) {
        return refuse(unreadable.what);
    } catch (const Json::exception& error) {
        return refuse(error.what());
    }
}

Result<DatasetSidecar> read_sidecar(fs::FileSystem& file_system, const std::string& directory) {
    const std::string path = fs::join(directory, std::string(kSidecarName));
    const Result<std::string> text = fs::read_file(file_system, path, kSidecarBytesMax);
    if (!text.ok()) {
        return text.error();
    }
    return parse_sidecar(text.value(), path);
}

}  // namespace holdfast::data
