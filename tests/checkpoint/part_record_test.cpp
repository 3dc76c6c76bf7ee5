#include "checkpoint/part_record.h"

#include <gmock/gmock.h>

#include "checkpoint/strict_json.h"

namespace holdfast::checkpoint {
namespace {

using base::ErrorKind;
using ::testing::HasSubstr;

PartRecord full_record() {
    FileRecord file{"optimizer-00002-of-00004.safetensors",
                    kChunkBytes + 4096,
                    {{4096, 7}, {kChunkBytes, UINT64_MAX}},
                    0};
    file.checksum = chunks_checksum(file.chunks);
    return {.save_id = "0123456789abcdef",
            .rank = 1,
            .readback = Readback::kDevice,
            .files = {file},
            .pieces = {{"model.safetensors", 4096, {{kChunkBytes, 1}, {3, 2}}},
                       {"model.safetensors", UINT64_C(1) << 40U, {{12, 3}}}}};
}

// The text with `from` replaced and its checksum made right again.
std::string forged(const std::string& from, const std::string& to) {
    std::string text = print_part_record(full_record()).value();
    const std::size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    text.replace(at, from.size(), to);
    return with_checksum_line(text.substr(0, text.size() - 31));
}

TEST(PartRecord, ReadsBackWhatItPrints) {
    const auto text = print_part_record(full_record());
    ASSERT_TRUE(text.ok()) << text.error().what;
    const auto again = parse_part_record(text.value());
    ASSERT_TRUE(again.ok()) << again.error().what;
    EXPECT_EQ(again.value(), full_record());
    const PartRecord nothing{.save_id = "0123456789abcdef", .files = {}, .pieces = {}};
    EXPECT_EQ(parse_part_record(print_part_record(nothing).value()).value(), nothing);
}

TEST(PartRecord, EveryFlippedByteAndEveryLengthIsRefused) {
    const std::string text = print_part_record(full_record()).value();
    for (std::size_t i = 0; i < text.size(); ++i) {
        std::string flipped = text;
        flipped[i] = static_cast<char>(flipped[i] ^ 1);
        EXPECT_FALSE(parse_part_record(flipped).ok()) << i;
        EXPECT_EQ(parse_part_record(text.substr(0, i)).error().kind, ErrorKind::kCorrupt) << i;
    }
    EXPECT_FALSE(parse_part_record(text + '\n').ok());
}

TEST(PartRecord, StrictFieldsThoughTheChecksumIsRight) {
    const std::vector<std::pair<std::string, std::string>> changes{
        {"\"rank\":1", "\"rank\":-1"},
        {"\"rank\":1", "\"rank\":1000001"},
        {"\"rank\":1", "\"rank\":\"1\""},
        {"\"rank\":1", "\"rank\":1,\n\"rank\":1"},
        {"\"rank\":1", "\"rank\":1,\n\"host\":\"a\""},
        {"\"rank\":1,\n", ""},
        {"0123456789abcdef", "0123456789abcdeg"},
        {"\"device\"", "\"memory\""},
        {"optimizer-00002-of-00004.safetensors", "../model.safetensors"},
        {"optimizer-00002-of-00004.safetensors", "checkpoint.json"},
        {"optimizer-00002-of-00004.safetensors", "model.safetensors"},
        {"\"file\":\"model.safetensors\"", "\"file\":\"a/b\""},
        {"\"file\":\"model.safetensors\"", "\"file\":\"checkpoint.json\""},
        {"\"offset\":4096", "\"offset\":-1"},
        {"\"offset\":4096", "\"offset\":1152921504606846977"},
        {"\"offset\":4096", "\"offset\":4096.0"},
        {"[3,", "[0,"},
        {"[3,", "[16777217,"},
        {"[3,\"0000000000000002\"]", "[3]"},
        {"[3,\"0000000000000002\"]", "[3,2]"},
        {"[3,\"0000000000000002\"]", "{\"bytes\":3}"},
        {"[[12,\"0000000000000003\"]]", "[]"},
        {"\"bytes\":16781312", "\"bytes\":16781311"},
        {"\"pieces\":[", "\"pieces\":7,\"more\":["},
    };
    for (const auto& [from, to] : changes) {
        const auto parsed = parse_part_record(forged(from, to));
        ASSERT_FALSE(parsed.ok()) << from << " -> " << to;
        EXPECT_EQ(parsed.error().kind, ErrorKind::kCorrupt) << from << " -> " << to;
        EXPECT_THAT(parsed.error().what, HasSubstr("the record of a part")) << from << " -> " << to;
    }
}

TEST(PartRecord, AnotherVersionIsToldAsOne) {
    const auto parsed = parse_part_record(forged("\"format\":1", "\"format\":2"));
    ASSERT_FALSE(parsed.ok());
    EXPECT_EQ(parsed.error().kind, ErrorKind::kInvalid);
    EXPECT_THAT(parsed.error().what, HasSubstr("all ranks must be the same program"));
}

TEST(PartRecord, ALengthThatNoRecordHasIsRefusedUnread) {
    const std::string text(kPartRecordBytesMax + 1, ' ');
    const auto parsed = parse_part_record(text);
    ASSERT_FALSE(parsed.ok());
    EXPECT_THAT(parsed.error().what, HasSubstr("more than"));
}

TEST(PartRecord, WhatCannotBeToldIsNotPrinted) {
    const std::vector<void (*)(PartRecord&)> changes{
        [](PartRecord& r) { r.save_id = "x"; },
        [](PartRecord& r) { r.rank = -1; },
        [](PartRecord& r) { r.files.push_back(r.files.front()); },
        [](PartRecord& r) { r.files.front().checksum ^= 1U; },
        [](PartRecord& r) { r.files.front().bytes += 1; },
        [](PartRecord& r) { r.pieces.front().chunks.clear(); },
        [](PartRecord& r) { r.pieces.front().chunks.front().bytes = kChunkBytes + 1; },
        [](PartRecord& r) { r.pieces.front().chunks.front().bytes = 0; },
        [](PartRecord& r) { r.pieces.front().offset = UINT64_MAX; },
        [](PartRecord& r) { r.pieces.front().file_name = r.files.front().name; },
    };
    for (std::size_t i = 0; i < changes.size(); ++i) {
        PartRecord record = full_record();
        changes[i](record);
        EXPECT_EQ(check_part_record(record).error().kind, ErrorKind::kInvalid) << i;
        EXPECT_FALSE(print_part_record(record).ok()) << i;
    }
}

}  // namespace
}  // namespace holdfast::checkpoint
