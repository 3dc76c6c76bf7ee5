#include "checkpoint/manifest.h"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "base/checksum.h"
#include "checkpoint/strict_json.h"
#include "checkpoint_fixture.h"

namespace holdfast::checkpoint {
namespace {

using base::ErrorKind;
using ::testing::HasSubstr;

Manifest full_manifest() {
    Manifest manifest = tiny_manifest("0123456789abcdef", 500);
    manifest.identity = {2, 500, "00000000000000ff"};
    manifest.ancestors = {{1, 250, "00000000000000aa"}};
    manifest.best = BestSoFar{250, 0.1, "val"};
    manifest.evaluation = EvaluationState::kDue;
    manifest.seed = UINT64_MAX;
    manifest.owed = {Pool::kKeep, Pool::kEpoch};
    manifest.log = {12345, 0xFEEDFACECAFEBEEFULL};
    manifest.readback = Readback::kDevice;
    FileRecord file{"model.safetensors", kChunkBytes + 5, {{kChunkBytes, 1}, {5, 2}}, 0};
    file.checksum = chunks_checksum(file.chunks);
    manifest.files = {file};
    return manifest;
}

// The text with `from` replaced and its checksum made right again.
std::string forged(const std::string& from, const std::string& to) {
    std::string text = print_manifest(full_manifest()).value();
    const std::size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    text.replace(at, from.size(), to);
    return with_checksum_line(text.substr(0, text.size() - 31));
}

TEST(Manifest, ReadsBackWhatItPrints) {
    const Manifest manifest = full_manifest();
    const auto text = print_manifest(manifest);
    ASSERT_TRUE(text.ok()) << text.error().what;
    const auto again = parse_manifest(text.value());
    ASSERT_TRUE(again.ok()) << again.error().what;
    EXPECT_EQ(again.value(), manifest);
    EXPECT_EQ(again.value().parent(), (Identity{1, 250, "00000000000000aa"}));
}

TEST(Manifest, IsOneJsonObjectForOthers) {
    const auto json = nlohmann::json::parse(print_manifest(full_manifest()).value());
    EXPECT_EQ(json["format"], 1);
    EXPECT_EQ(json["cursor"]["shard"], "train_000.bin");
    EXPECT_EQ(json["metrics"]["loss"], 3.25);
}

TEST(Manifest, EveryFlippedByteIsRefused) {
    const std::string text = print_manifest(full_manifest()).value();
    for (std::size_t i = 0; i < text.size(); ++i) {
        for (const unsigned bit : {0U, 5U, 7U}) {
            std::string damaged = text;
            damaged[i] = static_cast<char>(static_cast<unsigned char>(damaged[i]) ^ (1U << bit));
            EXPECT_EQ(parse_manifest(damaged).error().kind, ErrorKind::kCorrupt) << i;
        }
    }
}

TEST(Manifest, EveryTruncationAndEveryTailIsRefused) {
    const std::string text = print_manifest(full_manifest()).value();
    for (std::size_t i = 0; i < text.size(); ++i) {
        EXPECT_FALSE(parse_manifest(std::string_view(text).substr(0, i)).ok()) << i;
    }
    for (const auto* tail : {" ", "\n", "{}", "x"}) {
        EXPECT_FALSE(parse_manifest(text + tail).ok());
    }
    EXPECT_FALSE(parse_manifest(text + text).ok());
}

TEST(Manifest, StrictFieldsThoughTheChecksumIsRight) {
    const std::vector<std::pair<std::string, std::string>> changes{
        {R"("tokens":32000)", R"("tokens":-1)"},
        {R"("tokens":32000)", R"("tokens":1.5)"},
        {R"("tokens":32000)", R"("tokens":"32000")"},
        {R"("tokens":32000)", R"("tokens":1,"tokens":2)"},
        {R"("tokens":32000)", R"("tokens":1,"surprise":2)"},
        {R"("tokens":32000)", R"("tokenz":32000)"},
        {R"("tokens":32000)", R"("tokens":99999999999999999999)"},
        {R"("lanes":2)", R"("lanes":0)"},
        {R"("evaluation":"due")", R"("evaluation":"maybe")"},
        {R"("val_loss":0.1)", R"("val_loss":null)"},
        {R"("keep")", R"("attic")"},
        {R"("keep")", R"("backup/best")"},
        {R"("name":"model.safetensors")", R"("name":"../model.safetensors")"},
        {R"("name":"model.safetensors")", R"("name":"checkpoint.json")"},
        {R"("bytes":16777221)", R"("bytes":16777220)"},
        {R"([5,)", R"([0,)"},
        {R"([16777216,)", R"([16777217,)"},
        {R"("lineage":2)", R"("lineage":1)"},
        {R"("save_id":"00000000000000ff")", R"("save_id":"ff")"},
        {R"("metrics":{)", R"("metrics":[{)"},
        {R"("sample":2000)", R"("sample":2000,"sample":2000)"},
    };
    for (const auto& [from, to] : changes) {
        const auto parsed = parse_manifest(forged(from, to));
        ASSERT_FALSE(parsed.ok()) << from << " -> " << to;
        EXPECT_EQ(parsed.error().kind, ErrorKind::kCorrupt) << from << " -> " << to;
        EXPECT_EQ(parsed.error().what.find('\n'), std::string::npos);
    }
}

TEST(Manifest, DeepNestingIsRefused) {
    const std::string deep(100'000, '[');
    const auto parsed = parse_manifest(forged(R"("tokens":32000)", R"("tokens":)" + deep));
    EXPECT_EQ(parsed.error().kind, ErrorKind::kCorrupt);
}

TEST(Manifest, NewerFormatIsNotCalledDamaged) {
    const auto parsed = parse_manifest(forged(R"("format":1)", R"("format":2)"));
    ASSERT_FALSE(parsed.ok());
    EXPECT_EQ(parsed.error().kind, ErrorKind::kInvalid);
    EXPECT_THAT(parsed.error().what, HasSubstr("newer holdfast"));
}

TEST(Manifest, NumbersReadBackToTheSameBits) {
    Manifest manifest = full_manifest();
    for (const double value : {0.1, 1.0 / 3.0, 5e-324, 1.7976931348623157e308, 3.0}) {
        manifest.best->val_loss = value;
        const auto again = parse_manifest(print_manifest(manifest).value());
        EXPECT_EQ(again.value().best->val_loss, value);
    }
}

TEST(Manifest, WhatCannotBeTrueIsNotPrinted) {
    Manifest manifest = full_manifest();
    manifest.metrics_line = "[1]";
    EXPECT_EQ(print_manifest(manifest).error().kind, ErrorKind::kInvalid);
    manifest = full_manifest();
    manifest.config = "{\"a\":";
    EXPECT_EQ(print_manifest(manifest).error().kind, ErrorKind::kInvalid);
    manifest = full_manifest();
    manifest.best->val_loss = std::numeric_limits<double>::quiet_NaN();
    EXPECT_EQ(print_manifest(manifest).error().kind, ErrorKind::kInvalid);
    manifest = full_manifest();
    manifest.ancestors.clear();
    EXPECT_EQ(print_manifest(manifest).error().kind, ErrorKind::kInvalid);
}

TEST(Manifest, AShardNameThatIsNotUtf8DoesNotFailASave) {
    Manifest manifest = full_manifest();
    manifest.cursor.shard = "train_\xff.bin";
    const auto text = print_manifest(manifest);
    ASSERT_TRUE(text.ok());
    EXPECT_EQ(parse_manifest(text.value()).value().cursor.shard, "train_\xEF\xBF\xBD.bin");
}

TEST(Manifest, AnEmptyLogHasTheChecksumOfNothing) {
    EXPECT_EQ(LogPrefix{}.checksum, base::checksum64(std::string_view()));
}

}  // namespace
}  // namespace holdfast::checkpoint
