#include "checkpoint/safetensors.h"

#include <gmock/gmock.h>

#include "base/philox.h"
#include "checkpoint/tensor_map.h"

namespace holdfast::checkpoint {
namespace {

using base::ErrorKind;

const std::vector<TensorInfo> kTensors{{"b", "F32", {2, 3}},
                                       {"a\"quoted", "BF16", {4}},
                                       {"scalar", "I64", {}},
                                       {"none", "U8", {0, 7}}};
constexpr std::uint64_t kDataBytes = 24 + 8 + 8;

base::Result<SafetensorsHeader> parse(const std::string& json, std::uint64_t data_bytes) {
    return parse_safetensors_header(json, 8 + json.size() + data_bytes);
}

TEST(Safetensors, ReadsBackWhatItBuilds) {
    const std::string bytes = build_safetensors_header(kTensors, {{"format", "pt"}}).value();
    ASSERT_EQ(bytes.size() % 4096, 0U);
    const std::uint64_t file_bytes = bytes.size() + kDataBytes;
    const auto length =
        parse_safetensors_length(std::as_bytes(std::span(bytes)).first(8), file_bytes);
    ASSERT_EQ(length.value(), bytes.size() - 8);
    const auto header = parse_safetensors_header(bytes.substr(8), file_bytes);
    ASSERT_TRUE(header.ok()) << header.error().what;
    EXPECT_EQ(header.value().metadata.at("format"), "pt");
    EXPECT_EQ(header.value().data_begin, bytes.size());
    for (const TensorInfo& tensor : kTensors) {
        ASSERT_NE(header.value().find(tensor.name), nullptr);
        EXPECT_EQ(header.value().find(tensor.name)->tensor, tensor);
    }
    EXPECT_EQ(header.value().find("scalar")->begin, bytes.size() + 32);
}

TEST(Safetensors, EmptyListIsAFile) {
    const std::string bytes = build_safetensors_header({}, {}).value();
    EXPECT_TRUE(parse_safetensors_header(bytes.substr(8), bytes.size()).ok());
}

TEST(Safetensors, RefusesToBuildNonsense) {
    const auto kind = [](std::vector<TensorInfo> tensors) {
        return build_safetensors_header(tensors, {}).error().kind;
    };
    EXPECT_EQ(kind({{"a", "F31", {1}}}), ErrorKind::kInvalid);
    EXPECT_EQ(kind({{"a", "F32", {-1}}}), ErrorKind::kInvalid);
    EXPECT_EQ(kind({{"a", "F32", {1}}, {"a", "F32", {1}}}), ErrorKind::kInvalid);
    EXPECT_EQ(kind({{"__metadata__", "F32", {1}}}), ErrorKind::kInvalid);
    EXPECT_EQ(kind({{"a", "F64", {INT64_MAX, 4}}}), ErrorKind::kInvalid);
    EXPECT_EQ(kind({{"a", "U8", {INT64_MAX, 2}}, {"b", "U8", {2}}}), ErrorKind::kInvalid);
}

TEST(Safetensors, LengthThatCannotBeIsRefusedBeforeAllocation) {
    for (const std::uint64_t length : {std::uint64_t{0},
                                       std::uint64_t{1},
                                       std::uint64_t{93},
                                       std::uint64_t{1} << 40U,
                                       UINT64_MAX,
                                       UINT64_MAX - 7}) {
        std::array<std::byte, 8> bytes{};
        for (std::size_t i = 0; i < 8; ++i) {
            bytes[i] = static_cast<std::byte>(length >> (8 * i) & 0xFFU);
        }
        EXPECT_EQ(parse_safetensors_length(bytes, 100).error().kind, ErrorKind::kCorrupt) << length;
    }
    EXPECT_FALSE(parse_safetensors_length({}, 0).ok());
}

TEST(Safetensors, HostileHeadersAreRefused) {
    const std::vector<std::string> headers{
        "",
        "[]",
        "{",
        "null",
        R"({"a":1})",
        R"({"a":{}})",
        R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}} x)",
        R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"more":1}})",
        R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})",
        R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})",
        R"({"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}})",
        R"({"a":{"dtype":"X","shape":[1],"data_offsets":[0,4]}})",
        R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
        R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})",
        R"({"a":{"dtype":"F32","shape":[4611686018427387905],"data_offsets":[0,4]}})",
        R"({"a":{"dtype":"F32","shape":[4294967296,4294967296,4],"data_offsets":[0,0]}})",
        R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})",
        R"({"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"b":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}})",
        R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}})",
        R"({"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}})",
        R"({"__metadata__":{"x":1},"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})",
        std::string(200'000, '['),
        "{\"a\":" + std::string(200'000, '['),
    };
    for (const std::string& json : headers) {
        const auto header = parse(json, 4);
        ASSERT_FALSE(header.ok()) << json.substr(0, 100);
        EXPECT_EQ(header.error().kind, ErrorKind::kCorrupt) << json.substr(0, 100);
    }
    EXPECT_TRUE(parse(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}   )", 4).ok());
}

TEST(Safetensors, ANameStandsInAMessageOnOneLine) {
    EXPECT_EQ(parse(R"({"a\nb":1})", 0).error().what,
              "tensor a\\x0Ab is not dtype, shape and data_offsets");
}

TEST(Safetensors, AFragmentHasOneName) {
    EXPECT_TRUE(parse_fragment_name("wte@1:2"));
    for (const char* name : {"wte@01:2", "wte@1:02", "wte@1:2 ", "wte@2:1", "wte@1", "wte"}) {
        EXPECT_FALSE(parse_fragment_name(name)) << name;
    }
}

// Whatever the bytes, the answer is a header that tiles its file or an error: never a crash.
TEST(Safetensors, MutatedHeadersNeverBreakTheParser) {
    const std::string json =
        build_safetensors_header(kTensors, {{"format", "pt"}}).value().substr(8).substr(0, 300);
    for (std::uint32_t round = 0; round < 20'000; ++round) {
        std::string mutated = json;
        const auto bits = base::philox4x32({round, 0, 0, 0}, 42);
        for (std::size_t i = 0; i < 1 + bits[0] % 4; ++i) {
            const auto more =
                base::philox4x32({round, 1 + static_cast<std::uint32_t>(i), 0, 0}, 42);
            mutated[more[0] % mutated.size()] = static_cast<char>(more[1] & 0xFFU);
        }
        const auto header = parse(mutated, kDataBytes);
        if (header.ok()) {
            std::uint64_t bytes = 0;
            for (const auto& slot : header.value().slots) {
                bytes += slot.end - slot.begin;
            }
            EXPECT_EQ(bytes, kDataBytes);
        }
    }
}

}  // namespace
}  // namespace holdfast::checkpoint
