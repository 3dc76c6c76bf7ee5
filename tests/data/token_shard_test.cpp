#include "data/token_shard.h"

#include <filesystem>
#include <fstream>
#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/checksum.h"
#include "data/shard_maker.h"
#include "fs/real_file_system.h"
#include "temporary_directory.h"

namespace holdfast::data {
namespace {

using base::ErrorKind;
using base::Result;
using testing::HasSubstr;

Result<TokenShard> open_shard(const std::string& path) {
    return TokenShard::open(fs::real_file_system(), path);
}

void expect_refused(const std::string& path, ErrorKind kind, const std::string& words) {
    const Result<TokenShard> shard = open_shard(path);
    ASSERT_FALSE(shard.ok()) << path;
    EXPECT_EQ(shard.error().kind, kind) << shard.error().what;
    EXPECT_THAT(shard.error().what, HasSubstr(path));
    EXPECT_THAT(shard.error().what, HasSubstr(words));
    EXPECT_EQ(shard.error().what.find('\n'), std::string::npos);
}

TEST(TokenShard, ReadsLlmcUint16) {
    const TemporaryDirectory folder;
    write_llmc_shard(folder / "train_000001.bin", {50256, 1, 2, 65535});
    const auto shard = open_shard(folder / "train_000001.bin");
    ASSERT_TRUE(shard.ok()) << shard.error().what;
    EXPECT_EQ(shard.value().format(), ShardFormat::kLlmcUint16);
    EXPECT_EQ(to_string(shard.value().format()), "llm.c uint16");
    ASSERT_EQ(shard.value().token_count(), 4);
    EXPECT_EQ(shard.value().token(0), 50256);
    EXPECT_EQ(shard.value().token(3), 65535);
    std::vector<std::int32_t> out(2);
    shard.value().copy(1, out);
    EXPECT_EQ(out, (std::vector<std::int32_t>{1, 2}));
}

TEST(TokenShard, ReadsLlmcUint32) {
    const TemporaryDirectory folder;
    const std::vector<std::uint32_t> tokens = {128000, 7, 128255};
    write_bytes(folder / "a.bin", llmc_header(20240801, 7, 3) + bytes_of(tokens));
    const auto shard = open_shard(folder / "a.bin");
    ASSERT_TRUE(shard.ok()) << shard.error().what;
    EXPECT_EQ(shard.value().format(), ShardFormat::kLlmcUint32);
    EXPECT_EQ(shard.value().token(0), 128000);
    EXPECT_EQ(shard.value().token(2), 128255);
    EXPECT_TRUE(shard.value().check_tokens(128256).ok());
    EXPECT_FALSE(shard.value().check_tokens(128255).ok());
}

TEST(TokenShard, ReadsRawUint16WithoutHeader) {
    const TemporaryDirectory folder;
    write_bytes(folder / "train.bin", bytes_of(std::vector<std::uint16_t>{1, 2, 50256}));
    const auto shard = open_shard(folder / "train.bin");
    ASSERT_TRUE(shard.ok()) << shard.error().what;
    EXPECT_EQ(shard.value().format(), ShardFormat::kRawUint16);
    EXPECT_EQ(shard.value().token_count(), 3);
    EXPECT_EQ(shard.value().token(2), 50256);
}

TEST(TokenShard, ReadsARawFileOfOneToken) {
    const TemporaryDirectory folder;
    write_bytes(folder / "train.bin", bytes_of(std::vector<std::uint16_t>{7}));
    const auto shard = open_shard(folder / "train.bin");
    ASSERT_TRUE(shard.ok()) << shard.error().what;
    EXPECT_EQ(shard.value().token_count(), 1);
}

TEST(TokenShard, ReadsBeyondTwoGibibytes) {
    const TemporaryDirectory folder;
    constexpr std::uint32_t kTokens = 1'100'000'000;  // 2.2 GB, all but the ends a hole
    const std::string path = folder / "big.bin";
    write_bytes(path, llmc_header(20240520, 1, kTokens));
    std::filesystem::resize_file(path, 1024 + std::uintmax_t{2} * kTokens);
    {
        std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
        file.seekp(-2, std::ios::end);
        file << bytes_of(std::vector<std::uint16_t>{4321});
    }
    const auto shard = open_shard(path);
    ASSERT_TRUE(shard.ok()) << shard.error().what;
    EXPECT_EQ(shard.value().token_count(), kTokens);
    EXPECT_EQ(shard.value().token(kTokens - 1), 4321);
    EXPECT_EQ(shard.value().token(kTokens - 2), 0);
    EXPECT_NE(shard.value().sampled_checksum(), 0U);
}

TEST(TokenShard, RefusesWhatIsMissing) {
    const TemporaryDirectory folder;
    expect_refused(folder / "none.bin", ErrorKind::kNotFound, "cannot open");
}

TEST(TokenShard, RefusesAnEmptyFile) {
    const TemporaryDirectory folder;
    write_bytes(folder / "a.bin", "");
    expect_refused(folder / "a.bin", ErrorKind::kInvalid, "is empty");
}

TEST(TokenShard, RefusesAHeaderWithoutTokens) {
    const TemporaryDirectory folder;
    write_bytes(folder / "a.bin", llmc_header(20240520, 1, 0));
    expect_refused(folder / "a.bin", ErrorKind::kInvalid, "holds no tokens");
}

TEST(TokenShard, RefusesALengthThatIsNotTheHeaders) {
    const TemporaryDirectory folder;
    const std::string tokens = bytes_of(std::vector<std::uint16_t>{1, 2, 3});
    write_bytes(folder / "short.bin", llmc_header(20240520, 1, 4) + tokens);
    expect_refused(folder / "short.bin", ErrorKind::kCorrupt, "says 4 tokens, which make 1032");
    write_bytes(folder / "long.bin", llmc_header(20240520, 1, 3) + tokens + "x");
    expect_refused(folder / "long.bin", ErrorKind::kCorrupt, "is 1031 bytes long");
}

TEST(TokenShard, RefusesATruncationAnywhereInTheHeader) {
    const TemporaryDirectory folder;
    const std::string header = llmc_header(20240520, 1, 8);
    for (const std::size_t bytes : {4U, 8U, 12U, 1022U, 1023U, 1024U}) {
        write_bytes(folder / "a.bin", header.substr(0, bytes));
        expect_refused(folder / "a.bin", ErrorKind::kCorrupt, "cut off");
    }
}

TEST(TokenShard, RefusesAnotherVersion) {
    const TemporaryDirectory folder;
    write_bytes(folder / "a.bin", llmc_header(20240520, 2, 1) + "ab");
    expect_refused(folder / "a.bin", ErrorKind::kInvalid, "of version 2; version 1 is read");
}

TEST(TokenShard, NamesTheKindOfFileThatWasGivenInstead) {
    const TemporaryDirectory folder;
    const std::string path = folder / "a.bin";
    write_bytes(path, llmc_header(20240326, 3, 1024));
    expect_refused(path, ErrorKind::kInvalid, "an llm.c model (magic 20240326)");
    write_bytes(path, llmc_header(20240327, 2, 4));
    expect_refused(path, ErrorKind::kInvalid, "an llm.c debug state");
    write_bytes(path, llmc_header(20240328, 2, 4));
    expect_refused(path, ErrorKind::kInvalid, "an llm.c tokenizer");
    write_bytes(path, llmc_header(20240522, 1, 4));
    expect_refused(path, ErrorKind::kInvalid, "an llm.c evaluation file");
    write_bytes(path, llmc_header(20240527, 1, 4));
    expect_refused(path, ErrorKind::kInvalid, "an llm.c optimizer state");
    write_bytes(path, llmc_header(__builtin_bswap32(20240520), 1, 4));
    expect_refused(path, ErrorKind::kInvalid, "big-endian");
    write_bytes(path, "BIN.TOK\n" + std::string(1024, '\0'));
    expect_refused(path, ErrorKind::kInvalid, "an llmq token file");
    write_bytes(path, "\x93NUMPY\x01" + std::string(121, '\0'));
    expect_refused(path, ErrorKind::kInvalid, "a NumPy array");
    write_bytes(path, "PAR1" + std::string(100, '\0'));
    expect_refused(path, ErrorKind::kInvalid, "a Parquet file");
}

TEST(TokenShard, RefusesTextThatWouldPassAsTokens) {
    const TemporaryDirectory folder;
    std::string text;
    for (int i = 0; i < 10; ++i) {
        text += "First Citizen:\nBefore we proceed any further, hear me speak.\n\n";
    }
    text.resize(600);
    write_bytes(folder / "train.bin", text);
    expect_refused(folder / "train.bin", ErrorKind::kInvalid, "is text");
}

TEST(TokenShard, TakesRawTokensOnlyFromABinFile) {
    const TemporaryDirectory folder;
    write_bytes(folder / "tokens.dat", bytes_of(std::vector<std::uint16_t>{1, 2}));
    expect_refused(folder / "tokens.dat", ErrorKind::kInvalid, "ends in .bin");
}

TEST(TokenShard, RefusesRawTokensOfOddLength) {
    const TemporaryDirectory folder;
    write_bytes(folder / "train.bin", std::string(7, '\0'));
    expect_refused(folder / "train.bin", ErrorKind::kCorrupt, "7 bytes long, an odd number");
}

TEST(TokenShard, RefusesTheFirstTokenBeyondTheVocabulary) {
    const TemporaryDirectory folder;
    // Beyond the first block of the check, and twice, so that "the first" is tested.
    std::vector<std::uint16_t> tokens(300'000, 17);
    tokens[200'001] = 50257;
    tokens[250'000] = 60000;
    write_llmc_shard(folder / "a.bin", tokens);
    const auto shard = open_shard(folder / "a.bin");
    ASSERT_TRUE(shard.ok());
    EXPECT_TRUE(shard.value().check_tokens(60001).ok());
    const base::Status checked = shard.value().check_tokens(50257);
    ASSERT_FALSE(checked.ok());
    EXPECT_EQ(checked.error().kind, ErrorKind::kInvalid);
    EXPECT_THAT(checked.error().what, HasSubstr("token 50257 at position 200001"));
    EXPECT_THAT(checked.error().what, HasSubstr(shard.value().path()));
}

TEST(TokenShard, RefusesATokenThatDoesNotFitASignedNumber) {
    const TemporaryDirectory folder;
    write_bytes(folder / "a.bin",
                llmc_header(20240801, 7, 2) + bytes_of(std::vector<std::uint32_t>{1, 0xFFFFFFFF}));
    const auto shard = open_shard(folder / "a.bin");
    ASSERT_TRUE(shard.ok());
    const base::Status checked = shard.value().check_tokens(0x7FFFFFFF);
    ASSERT_FALSE(checked.ok());
    EXPECT_THAT(checked.error().what, HasSubstr("token 4294967295 at position 1"));
}

TEST(TokenShard, RefusesAnotherChecksumThanTheSidecars) {
    const TemporaryDirectory folder;
    std::vector<std::uint16_t> tokens(300'000);
    std::iota(tokens.begin(), tokens.end(), std::uint16_t{0});
    write_llmc_shard(folder / "a.bin", tokens);
    const std::uint64_t checksum = base::checksum64(
        llmc_header(20240520, 1, static_cast<std::uint32_t>(tokens.size())) + bytes_of(tokens));
    const auto shard = open_shard(folder / "a.bin");
    ASSERT_TRUE(shard.ok());
    EXPECT_TRUE(shard.value().check_tokens(65536, checksum).ok());
    const base::Status checked = shard.value().check_tokens(65536, checksum + 1);
    ASSERT_FALSE(checked.ok());
    EXPECT_EQ(checked.error().kind, ErrorKind::kCorrupt);
}

TEST(TokenShard, SampledChecksumSeesEveryByteOfASmallShard) {
    const TemporaryDirectory folder;
    const std::vector<std::uint16_t> tokens = counting_tokens(0, 5000);
    write_llmc_shard(folder / "a.bin", tokens);
    const std::uint64_t before = open_shard(folder / "a.bin").value().sampled_checksum();
    for (const std::size_t changed : {0U, 2500U, 4999U}) {
        std::vector<std::uint16_t> other = tokens;
        other[changed] ^= 1U;
        write_llmc_shard(folder / "b.bin", other);
        EXPECT_NE(open_shard(folder / "b.bin").value().sampled_checksum(), before);
    }
    write_llmc_shard(folder / "c.bin", tokens);
    EXPECT_EQ(open_shard(folder / "c.bin").value().sampled_checksum(), before);
}

TEST(TokenShard, SampledChecksumSeesBothEndsOfALargeShard) {
    const TemporaryDirectory folder;
    std::vector<std::uint16_t> tokens(1'000'000, 5);
    write_llmc_shard(folder / "a.bin", tokens);
    const std::uint64_t before = open_shard(folder / "a.bin").value().sampled_checksum();
    for (const std::size_t changed : {std::size_t{0}, tokens.size() - 1}) {
        std::vector<std::uint16_t> other = tokens;
        other[changed] = 6;
        write_llmc_shard(folder / "b.bin", other);
        EXPECT_NE(open_shard(folder / "b.bin").value().sampled_checksum(), before) << changed;
    }
}

}  // namespace
}  // namespace holdfast::data
