#include "tokenizer/bpe_vocabulary.h"

#include <gtest/gtest.h>

#include "tokenizer/bpe_merge.h"
#include "tokenizer/gpt2_ranks.h"

namespace holdfast::tokenizer {
namespace {

class BpeVocabularyTest : public testing::Test {
protected:
    const BpeVocabulary vocabulary_ = BpeVocabulary::parse(gpt2_ranks_text());
};

TEST_F(BpeVocabularyTest, FindsEveryTokenByItsBytes) {
    ASSERT_EQ(vocabulary_.size(), 50256U);
    for (std::uint32_t id = 0; id < vocabulary_.size(); ++id) {
        ASSERT_EQ(vocabulary_.find(vocabulary_.bytes_of(id)), id);
    }
    EXPECT_EQ(vocabulary_.find("no such token"), BpeVocabulary::kNone);
    EXPECT_EQ(vocabulary_.find(std::string(1000, ' ')), BpeVocabulary::kNone);
}

TEST_F(BpeVocabularyTest, MergesExactlyWhatJoinsToAToken) {
    const std::uint32_t h = vocabulary_.id_of_byte('h');
    const std::uint32_t e = vocabulary_.id_of_byte('e');
    EXPECT_EQ(vocabulary_.find_merge(h, e), vocabulary_.find("he"));
    EXPECT_EQ(vocabulary_.find_merge(vocabulary_.id_of_byte(0xFF), h), BpeVocabulary::kNone);
}

// The two ways to merge are one rule: a run of one letter, longer and longer, crosses from one to
// the other, and a long prefix cannot change the ids of a part that no merge joins to it.
TEST_F(BpeVocabularyTest, TheShortAndTheLongWayToMergeAgree) {
    BpeMerge merge(vocabulary_);
    // No token holds the byte 0xFF and another, so it keeps what stands before and after apart.
    const std::string wall(200, '\xFF');
    for (const std::string unit : {"a", "ab", "aab", "the", "xyzzy", "=", "\xE4\xB8\xAD"}) {
        for (std::size_t repeats = 1; repeats <= 90 / unit.size(); ++repeats) {
            std::string piece;
            for (std::size_t index = 0; index < repeats; ++index) {
                piece += unit;
            }
            std::vector<std::uint32_t> short_way;
            merge.append_ids(piece, short_way);
            std::vector<std::uint32_t> long_way;
            merge.append_ids(wall + piece, long_way);
            ASSERT_EQ(long_way.size(), wall.size() + short_way.size()) << piece;
            EXPECT_TRUE(std::equal(short_way.begin(), short_way.end(), long_way.begin() + 200))
                << piece;
        }
    }
}

}  // namespace
}  // namespace holdfast::tokenizer
