#include "data/shard_writer.h"

#include <cstring>
#include <numeric>

#include <gtest/gtest.h>

#include "base/checksum.h"
#include "fs/durable_write.h"
#include "fs/real_file_system.h"
#include "temporary_directory.h"

namespace holdfast::data {
namespace {

std::string bytes_of(const std::string& path) {
    return fs::read_file(fs::real_file_system(), path, std::uint64_t{1} << 30U).value();
}

std::int32_t word_at(const std::string& bytes, std::size_t index) {
    std::int32_t word = 0;
    std::memcpy(&word, bytes.data() + 4 * index, 4);
    return word;
}

TEST(ShardWriter, WritesTheHeaderAndTokensOfLlmC) {
    const TemporaryDirectory directory;
    ShardWriter writer(fs::real_file_system(), directory.path(), "val", 0, 100);
    ASSERT_TRUE(writer.append(std::vector<std::uint16_t>{50256, 1, 258}).ok());
    const auto shards = writer.finish();
    ASSERT_TRUE(shards.ok());
    ASSERT_EQ(shards.value().size(), 1U);
    EXPECT_EQ(shards.value()[0].name, "val_000000.bin");
    const std::string bytes = bytes_of(directory / "val_000000.bin");
    ASSERT_EQ(bytes.size(), 1024U + 6U);
    EXPECT_EQ(word_at(bytes, 0), 20240520);
    EXPECT_EQ(word_at(bytes, 1), 1);
    EXPECT_EQ(word_at(bytes, 2), 3);
    for (std::size_t word = 3; word < 256; ++word) {
        EXPECT_EQ(word_at(bytes, word), 0);
    }
    EXPECT_EQ(bytes.substr(1024), std::string("\x50\xC4\x01\x00\x02\x01", 6));
    EXPECT_EQ(shards.value()[0].checksum, base::checksum64(bytes));
    EXPECT_EQ(shards.value()[0].bytes, bytes.size());
}

TEST(ShardWriter, CutsTheStreamAtTheShardLimit) {
    const TemporaryDirectory directory;
    std::vector<std::uint16_t> tokens(25);
    std::iota(tokens.begin(), tokens.end(), std::uint16_t{0});
    ShardWriter writer(fs::real_file_system(), directory.path(), "train", 1, 10);
    ASSERT_TRUE(writer.append(std::span(tokens).first(7)).ok());
    ASSERT_TRUE(writer.append(std::span(tokens).subspan(7)).ok());
    const auto shards = writer.finish();
    ASSERT_TRUE(shards.ok());
    ASSERT_EQ(shards.value().size(), 3U);
    EXPECT_EQ(shards.value()[2].name, "train_000003.bin");
    EXPECT_EQ(shards.value()[2].tokens, 5U);
    std::string joined;
    for (const ShardSummary& shard : shards.value()) {
        joined += bytes_of(directory / shard.name).substr(1024);
    }
    ASSERT_EQ(joined.size(), 2 * tokens.size());
    EXPECT_EQ(std::memcmp(joined.data(), tokens.data(), joined.size()), 0);
}

TEST(ShardWriter, AShardLargerThanItsBufferIsWhole) {
    const TemporaryDirectory directory;
    std::vector<std::uint16_t> tokens(1'200'000);
    for (std::size_t index = 0; index < tokens.size(); ++index) {
        tokens[index] = static_cast<std::uint16_t>(index * 7);
    }
    ShardWriter writer(fs::real_file_system(), directory.path(), "train", 1, 2'000'000);
    ASSERT_TRUE(writer.append(tokens).ok());
    ASSERT_TRUE(writer.finish().ok());
    const std::string bytes = bytes_of(directory / "train_000001.bin");
    ASSERT_EQ(bytes.size(), 1024 + 2 * tokens.size());
    EXPECT_EQ(std::memcmp(bytes.data() + 1024, tokens.data(), 2 * tokens.size()), 0);
}

TEST(ShardWriter, NoTokensAreNoShard) {
    const TemporaryDirectory directory;
    ShardWriter writer(fs::real_file_system(), directory.path(), "train", 1, 10);
    EXPECT_TRUE(writer.finish().value().empty());
    EXPECT_TRUE(fs::real_file_system().list(directory.path()).value().empty());
}

TEST(ShardWriter, BeforeTheEndThereIsOnlyTheTemporaryName) {
    const TemporaryDirectory directory;
    {
        ShardWriter writer(fs::real_file_system(), directory.path(), "train", 1, 1000);
        ASSERT_TRUE(writer.append(std::vector<std::uint16_t>(10)).ok());
    }
    EXPECT_EQ(fs::real_file_system().list(directory.path()).value(),
              std::vector<std::string>{"train_000001.bin.new"});
}

}  // namespace
}  // namespace holdfast::data
