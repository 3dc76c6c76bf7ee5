#include "data/token_set.h"

#include <cmath>
#include <filesystem>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/checksum.h"
#include "data/dataset_sidecar.h"
#include "data/shard_maker.h"
#include "data/validation_set.h"
#include "fs/real_file_system.h"
#include "temporary_directory.h"

namespace holdfast::data {
namespace {

using base::ErrorKind;
using base::Result;
using testing::HasSubstr;

class TokenSetTest : public testing::Test {
protected:
    // A shard in `folder`, and its line of a sidecar.
    ShardSummary write_shard(const std::string& folder,
                             const std::string& name,
                             const std::vector<std::uint16_t>& tokens) {
        std::filesystem::create_directories(folder_ / folder);
        write_llmc_shard(folder_ / (folder + "/" + name), tokens);
        const std::string bytes =
            llmc_header(20240520, 1, static_cast<std::uint32_t>(tokens.size())) + bytes_of(tokens);
        return ShardSummary{name, tokens.size(), bytes.size(), base::checksum64(bytes)};
    }
    // A folder of two train shards of 10 and 20 tokens and one val shard of 8, as `prepare` leaves
    // it.
    DatasetSidecar prepare_folder(const std::string& folder) {
        DatasetSidecar sidecar;
        sidecar.tokenizer = "bytes";
        sidecar.tokenizer_fingerprint = 0x1234;
        sidecar.vocab_size = 257;
        sidecar.end_of_text = 256;
        sidecar.input_documents = 2;
        sidecar.val_fraction = 0.2;
        sidecar.shard_tokens_max = 20;
        sidecar.split_rule = SplitRule::kDocuments;
        sidecar.train.documents = 1;
        sidecar.train.text_bytes = 29;
        sidecar.train.tokens = 30;
        sidecar.train.shards = {write_shard(folder, "train_000001.bin", counting_tokens(0, 10)),
                                write_shard(folder, "train_000002.bin", counting_tokens(10, 20))};
        sidecar.val.documents = 1;
        sidecar.val.text_bytes = 4;
        sidecar.val.tokens = 8;
        sidecar.val.shards = {write_shard(folder, "val_000000.bin", counting_tokens(100, 8))};
        write_sidecar(folder, sidecar);
        return sidecar;
    }
    void write_sidecar(const std::string& folder, const DatasetSidecar& sidecar) {
        write_bytes(folder_ / (folder + "/dataset.json"), to_json(sidecar));
    }
    Result<TokenSet> open(const std::vector<std::string>& names, Split split = Split::kTrain) {
        std::vector<std::string> sources;
        for (const std::string& name : names) {
            sources.push_back(folder_ / name);
        }
        return TokenSet::open(fs::real_file_system(), sources, split);
    }
    void expect_refused(const std::vector<std::string>& names,
                        ErrorKind kind,
                        const std::string& words) {
        const Result<TokenSet> set = open(names);
        ASSERT_FALSE(set.ok());
        EXPECT_EQ(set.error().kind, kind);
        EXPECT_THAT(set.error().what, HasSubstr(words));
        EXPECT_EQ(set.error().what.find('\n'), std::string::npos);
    }

    TemporaryDirectory folder_;
};

TEST_F(TokenSetTest, OpensShardsInOrderWithoutASidecar) {
    write_shard("d", "train_2.bin", counting_tokens(10, 5));
    write_shard("d", "train_1.bin", counting_tokens(0, 10));
    const Result<TokenSet> set = open({"d"});
    ASSERT_TRUE(set.ok()) << set.error().what;
    ASSERT_EQ(set.value().shards().size(), 2U);
    EXPECT_EQ(set.value().shards()[0].token(0), 0);
    EXPECT_EQ(set.value().token_count(), 15);
    EXPECT_FALSE(set.value().tokenizer().has_value());
    EXPECT_FALSE(set.value().text_bytes().has_value());
    EXPECT_EQ(set.value().in_words(), "2 shards, 15 tokens, llm.c uint16");
}

TEST_F(TokenSetTest, ReadsWhatTheSidecarSays) {
    prepare_folder("d");
    const Result<TokenSet> set = open({"d"});
    ASSERT_TRUE(set.ok()) << set.error().what;
    ASSERT_TRUE(set.value().tokenizer().has_value());
    EXPECT_EQ(*set.value().tokenizer(), (TokenizerNote{"bytes", 0x1234, 257, 256}));
    EXPECT_EQ(set.value().text_bytes(), 29);
    EXPECT_TRUE(set.value().check_tokens(257).ok());
    EXPECT_EQ(open({"d"}, Split::kVal).value().text_bytes(), 4);
    EXPECT_THAT(set.value().in_words(), HasSubstr("tokenizer bytes"));
}

TEST_F(TokenSetTest, KnowsTheTextBytesOfWholeSplitsOnly) {
    prepare_folder("d");
    prepare_folder("e");
    EXPECT_EQ(open({"d", "e"}).value().text_bytes(), 58);
    const Result<TokenSet> part = open({"d/train_000001.bin"});
    ASSERT_TRUE(part.ok()) << part.error().what;
    EXPECT_FALSE(part.value().text_bytes().has_value());
    EXPECT_TRUE(part.value().tokenizer().has_value());
    write_shard("f", "train.bin", counting_tokens(0, 5));
    const Result<TokenSet> mixed = open({"d", "f"});
    ASSERT_TRUE(mixed.ok()) << mixed.error().what;
    EXPECT_FALSE(mixed.value().text_bytes().has_value());
    EXPECT_FALSE(mixed.value().tokenizer().has_value());
}

TEST_F(TokenSetTest, GivesBitsPerByteFromTheSidecar) {
    prepare_folder("d");
    const TokenSet set = open({"d"}, Split::kVal).value();
    const ValidationSet validation =
        ValidationSet::make(set, {.window_tokens = 4, .unit_sequences = 1, .vocab_size = 257})
            .value();
    // 8 tokens of 4 bytes of text: two tokens a byte.
    EXPECT_DOUBLE_EQ(validation.bits_per_byte(std::log(2.0)).value(), 2.0);
}

TEST_F(TokenSetTest, RefusesAFolderThatLacksAShardOfItsSidecar) {
    prepare_folder("d");
    std::filesystem::remove(folder_ / "d/train_000002.bin");
    expect_refused({"d"}, ErrorKind::kCorrupt, "lacks the shard train_000002.bin");
    EXPECT_TRUE(open({"d/train_000001.bin"}).ok());
}

TEST_F(TokenSetTest, RefusesAShardThatTheSidecarDoesNotList) {
    prepare_folder("d");
    write_shard("d", "train_000003.bin", counting_tokens(0, 10));
    expect_refused({"d"}, ErrorKind::kCorrupt, "train_000003.bin is not listed");
}

TEST_F(TokenSetTest, RefusesAShardOfAnotherLengthThanTheSidecarSays) {
    prepare_folder("d");
    write_shard("d", "train_000002.bin", counting_tokens(10, 19));
    expect_refused({"d"}, ErrorKind::kCorrupt, "has 19 tokens in 1062 bytes");
}

TEST_F(TokenSetTest, RefusesAFlippedBitThatTheSidecarKnows) {
    prepare_folder("d");
    std::vector<std::uint16_t> tokens = counting_tokens(10, 20);
    tokens[7] ^= 1U;
    write_shard("d", "train_000002.bin", tokens);
    const Result<TokenSet> set = open({"d"});
    ASSERT_TRUE(set.ok()) << set.error().what;
    const base::Status checked = set.value().check_tokens(257);
    ASSERT_FALSE(checked.ok());
    EXPECT_EQ(checked.error().kind, ErrorKind::kCorrupt);
    EXPECT_THAT(checked.error().what, HasSubstr("train_000002.bin has checksum"));
}

TEST_F(TokenSetTest, RefusesFoldersOfTwoTokenizers) {
    prepare_folder("d");
    DatasetSidecar other = prepare_folder("e");
    other.tokenizer = "gpt2";
    other.vocab_size = 50257;
    other.end_of_text = 50256;
    write_sidecar("e", other);
    expect_refused({"d", "e"}, ErrorKind::kInvalid, "one run has one tokenizer");
}

TEST_F(TokenSetTest, RefusesADamagedSidecar) {
    prepare_folder("d");
    write_bytes(folder_ / "d/dataset.json", "{");
    expect_refused({"d"}, ErrorKind::kCorrupt, "dataset.json");
}

TEST_F(TokenSetTest, RefusesATokenBeyondTheVocabulary) {
    write_shard("d", "train_1.bin", counting_tokens(0, 10));
    const base::Status checked = open({"d"}).value().check_tokens(9);
    ASSERT_FALSE(checked.ok());
    EXPECT_THAT(checked.error().what, HasSubstr("token 9 at position 9"));
}

TEST_F(TokenSetTest, HasAFingerprintThatFollowsTheDataAndNotThePath) {
    write_shard("d", "train_1.bin", counting_tokens(0, 10));
    write_shard("d", "train_2.bin", counting_tokens(10, 10));
    const std::uint64_t before = open({"d"}).value().fingerprint();
    std::filesystem::rename(folder_ / "d", folder_ / "moved");
    std::filesystem::rename(folder_ / "moved/train_2.bin", folder_ / "moved/train_7.bin");
    EXPECT_EQ(open({"moved"}).value().fingerprint(), before);
    EXPECT_NE(open({"moved/train_7.bin", "moved/train_1.bin"}).value().fingerprint(), before);
    EXPECT_NE(open({"moved/train_1.bin"}).value().fingerprint(), before);
    write_shard("moved", "train_7.bin", counting_tokens(11, 10));
    EXPECT_NE(open({"moved"}).value().fingerprint(), before);
}

TEST_F(TokenSetTest, NamesTheShardThatIsNoShard) {
    write_shard("d", "train_1.bin", counting_tokens(0, 10));
    write_bytes(folder_ / "d/train_2.bin", llmc_header(20240326, 3, 0));
    expect_refused({"d"}, ErrorKind::kInvalid, "train_2.bin is an llm.c model");
}

}  // namespace
}  // namespace holdfast::data
