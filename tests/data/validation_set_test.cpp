#include "data/validation_set.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/shard_maker.h"
#include "fs/real_file_system.h"
#include "temporary_directory.h"

namespace holdfast::data {
namespace {

using testing::ElementsAre;

// Two shards of 2 and 3 windows of 4 tokens; each token is its own position, 100 on in the second.
class ValidationSetTest : public testing::Test {
protected:
    ValidationSetTest() {
        write_llmc_shard(folder_ / "val_0.bin", counting_tokens(0, 10));
        write_llmc_shard(folder_ / "val_1.bin", counting_tokens(100, 13));
    }
    TokenSet open() {
        return TokenSet::open(fs::real_file_system(), {folder_.path()}, Split::kVal).value();
    }
    static ValidationOptions options(std::int64_t eval_tokens, std::int64_t unit_sequences) {
        return ValidationOptions{.window_tokens = 4,
                                 .eval_tokens = eval_tokens,
                                 .unit_sequences = unit_sequences,
                                 .vocab_size = 1000};
    }

    TemporaryDirectory folder_;
};

TEST_F(ValidationSetTest, ReadsTheWindowsInFileOrderCutIntoUnits) {
    const TokenSet set = open();
    const auto validation = ValidationSet::make(set, options(0, 2));
    ASSERT_TRUE(validation.ok());
    EXPECT_EQ(validation.value().window_count(), 5);
    EXPECT_EQ(validation.value().unit_count(), 3);
    EXPECT_EQ(validation.value().target_count(), 20);
    EvaluationUnit unit;
    ASSERT_TRUE(validation.value().read_unit(0, unit).ok());
    EXPECT_EQ(unit.sequences, 2);
    EXPECT_THAT(unit.tokens_ST, ElementsAre(0, 1, 2, 3, 4, 5, 6, 7));
    EXPECT_THAT(unit.targets_ST, ElementsAre(1, 2, 3, 4, 5, 6, 7, 8));
    ASSERT_TRUE(validation.value().read_unit(1, unit).ok());
    EXPECT_THAT(unit.tokens_ST, ElementsAre(100, 101, 102, 103, 104, 105, 106, 107));
    ASSERT_TRUE(validation.value().read_unit(2, unit).ok());
    EXPECT_EQ(unit.sequences, 1);
    EXPECT_THAT(unit.tokens_ST, ElementsAre(108, 109, 110, 111));
    EXPECT_THAT(unit.targets_ST, ElementsAre(109, 110, 111, 112));
}

TEST_F(ValidationSetTest, RoundsTheLimitUpToWholeWindows) {
    const TokenSet set = open();
    for (const auto& [eval_tokens, windows] : std::vector<std::pair<std::int64_t, std::int64_t>>{
             {1, 1}, {4, 1}, {5, 2}, {8, 2}, {17, 5}, {20, 5}, {1000, 5}, {0, 5}}) {
        const auto validation = ValidationSet::make(set, options(eval_tokens, 2));
        EXPECT_EQ(validation.value().window_count(), windows) << eval_tokens;
    }
}

TEST_F(ValidationSetTest, CoversTheSameTokensInUnitsOfAnySize) {
    const TokenSet set = open();
    std::vector<std::int32_t> whole;
    for (const std::int64_t unit_sequences : {5, 1, 2, 3, 4, 64}) {
        const auto validation = ValidationSet::make(set, options(0, unit_sequences));
        std::vector<std::int32_t> tokens;
        EvaluationUnit unit;
        for (std::int64_t e = 0; e < validation.value().unit_count(); ++e) {
            ASSERT_TRUE(validation.value().read_unit(e, unit).ok());
            tokens.insert(tokens.end(), unit.tokens_ST.begin(), unit.tokens_ST.end());
        }
        whole = whole.empty() ? tokens : whole;
        EXPECT_EQ(tokens, whole) << unit_sequences;
    }
}

TEST_F(ValidationSetTest, KeepsItsBuffersBetweenUnits) {
    const TokenSet set = open();
    const auto validation = ValidationSet::make(set, options(0, 2));
    EvaluationUnit unit;
    ASSERT_TRUE(validation.value().read_unit(0, unit).ok());
    const std::int32_t* const place = unit.tokens_ST.data();
    ASSERT_TRUE(validation.value().read_unit(2, unit).ok());
    ASSERT_TRUE(validation.value().read_unit(1, unit).ok());
    EXPECT_EQ(unit.tokens_ST.data(), place);
}

TEST_F(ValidationSetTest, HasAFingerprintOfWhatIsEvaluated) {
    const TokenSet set = open();
    const std::uint64_t all = ValidationSet::make(set, options(0, 2)).value().fingerprint();
    EXPECT_EQ(ValidationSet::make(set, options(0, 3)).value().fingerprint(), all);
    EXPECT_EQ(ValidationSet::make(set, options(20, 2)).value().fingerprint(), all);
    EXPECT_NE(ValidationSet::make(set, options(16, 2)).value().fingerprint(), all);
    ValidationOptions longer = options(0, 2);
    longer.window_tokens = 5;
    EXPECT_NE(ValidationSet::make(set, longer).value().fingerprint(), all);
}

TEST_F(ValidationSetTest, RefusesATokenBeyondTheVocabulary) {
    const TokenSet set = open();
    ValidationOptions small = options(0, 2);
    small.vocab_size = 107;
    const auto validation = ValidationSet::make(set, small);
    EvaluationUnit unit;
    EXPECT_TRUE(validation.value().read_unit(0, unit).ok());
    const base::Status read = validation.value().read_unit(1, unit);
    ASSERT_FALSE(read.ok());
    EXPECT_THAT(read.error().what, testing::HasSubstr("val_1.bin has token 107 at position 7"));
}

TEST_F(ValidationSetTest, RefusesASetWithoutAWindow) {
    const TokenSet set = open();
    ValidationOptions longer = options(0, 2);
    longer.window_tokens = 13;
    const auto validation = ValidationSet::make(set, longer);
    ASSERT_FALSE(validation.ok());
    EXPECT_THAT(validation.error().what, testing::HasSubstr("the val data: the longest shard has"));
}

TEST_F(ValidationSetTest, TellsNoBitsPerByteWithoutASidecar) {
    const TokenSet set = open();
    EXPECT_FALSE(ValidationSet::make(set, options(0, 2)).value().bits_per_byte(1.0).has_value());
}

}  // namespace
}  // namespace holdfast::data
