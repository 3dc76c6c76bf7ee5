#include "data/dataset_sidecar.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "fs/real_file_system.h"
#include "temporary_directory.h"

namespace holdfast::data {
namespace {

DatasetSidecar example() {
    DatasetSidecar sidecar;
    sidecar.tokenizer = "gpt2";
    sidecar.tokenizer_fingerprint = 0xfedcba9876543210ULL;
    sidecar.vocab_size = 50257;
    sidecar.end_of_text = 50256;
    sidecar.input_hash = {1, 0xffffffffffffffffULL};
    sidecar.input_documents = 7;
    sidecar.val_fraction = 0.1;
    sidecar.shard_tokens_max = 100;
    sidecar.split_rule = SplitRule::kTails;
    sidecar.train = {
        .documents = 7,
        .text_bytes = 1000,
        .tokens = 150,
        .shards = {{"train_000001.bin", 100, 1224, 5}, {"train_000002.bin", 50, 1124, 6}}};
    sidecar.val = {
        .documents = 7, .text_bytes = 9, .tokens = 3, .shards = {{"val_000000.bin", 3, 1030, 7}}};
    return sidecar;
}

TEST(DatasetSidecar, ReadsWhatItWrites) {
    const auto read = parse_sidecar(to_json(example()), "x");
    ASSERT_TRUE(read.ok()) << read.error().what;
    EXPECT_EQ(read.value(), example());
}

TEST(DatasetSidecar, AMissingOneIsNotFound) {
    const TemporaryDirectory directory;
    EXPECT_EQ(read_sidecar(fs::real_file_system(), directory.path()).error().kind,
              base::ErrorKind::kNotFound);
}

TEST(DatasetSidecar, WhatIsDamagedIsNamedInOneLine) {
    const std::string good = to_json(example());
    const auto damaged = [&](const std::string& from, const std::string& to) {
        std::string text = good;
        text.replace(text.find(from), from.size(), to);
        const auto read = parse_sidecar(text, "d/dataset.json");
        EXPECT_FALSE(read.ok()) << to;
        EXPECT_EQ(read.error().kind, base::ErrorKind::kCorrupt);
        EXPECT_TRUE(read.error().what.starts_with("d/dataset.json cannot be read: "));
        EXPECT_EQ(read.error().what.find('\n'), std::string::npos);
        return read.error().what;
    };
    damaged("{", "");
    damaged("\"vocab_size\"", "\"size\"");
    damaged("fedcba9876543210", "fedcba987654321");
    damaged("\"tails\"", "\"heads\"");
    damaged("train_000002.bin", "../train_000002.bin");
    damaged("train_000002.bin", "..");
    damaged("train_000002.bin", "train\\u0000.bin");
    for (const char* number : {"-1", "1e30", "true", "2147483648"}) {
        damaged("\"vocab_size\": 50257", fmt::format("\"vocab_size\": {}", number));
    }
    damaged("\"id\": 50256", "\"id\": 50257");
    damaged("\"val_fraction\": 0.1", "\"val_fraction\": 1.0");
    damaged("\"text_bytes\": 9", "\"text_bytes\": 18446744073709551615");
    damaged("fedcba9876543210", "a\\nb");
    damaged("{", "\x7F");
    EXPECT_NE(damaged("\"format_version\": 1", "\"format_version\": 9")
                  .find("its version is 9, this program knows 1"),
              std::string::npos);
    EXPECT_NE(damaged("\"tokens\": 150", "\"tokens\": 151").find("do not add up"),
              std::string::npos);
}

}  // namespace
}  // namespace holdfast::data
