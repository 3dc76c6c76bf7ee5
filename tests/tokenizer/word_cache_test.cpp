#include "tokenizer/word_cache.h"

#include <string>

#include <gtest/gtest.h>

namespace holdfast::tokenizer {
namespace {

WordCache::Key key_of(const std::string& word) {
    return WordCache::key_of(word, word.size());
}

TEST(WordCache, FindsWhatWasPutIn) {
    WordCache cache;
    cache.insert(key_of("hold"), std::vector<std::uint32_t>{1, 65535});
    ASSERT_NE(cache.find(key_of("hold")), nullptr);
    EXPECT_EQ(cache.find(key_of("hold"))->count, 2);
    EXPECT_EQ(cache.find(key_of("hold"))->ids[1], 65535);
    EXPECT_EQ(cache.find(key_of("holds")), nullptr);
}

TEST(WordCache, TheKeyDoesNotDependOnWhatFollowsTheWord) {
    const std::string text = "abcdefghijklmnopqrstuvwxyz";
    for (std::size_t bytes = 1; bytes <= WordCache::kWordBytesMax; ++bytes) {
        const std::string_view word = std::string_view(text).substr(0, bytes);
        EXPECT_EQ(WordCache::key_of(word, text.size()), WordCache::key_of(word, bytes)) << bytes;
    }
}

TEST(WordCache, TellsZeroBytesFromNoBytes) {
    EXPECT_FALSE(key_of(std::string(1, '\0')) == key_of(std::string(2, '\0')));
}

TEST(WordCache, DoesNotKeepWhatDoesNotFit) {
    WordCache cache;
    cache.insert(key_of("x"), std::vector<std::uint32_t>(WordCache::kIdsMax + 1, 5));
    EXPECT_EQ(cache.find(key_of("x")), nullptr);
}

TEST(WordCache, ForgetsButNeverMixesUp) {
    WordCache cache;
    constexpr std::uint32_t kWords = 300'000;  // more than there are entries
    std::uint32_t known = 0;
    for (std::uint32_t word = 0; word < kWords; ++word) {
        const std::vector<std::uint32_t> ids = {word % 65536, word / 65536};
        cache.insert(key_of(std::to_string(word)), ids);
    }
    for (std::uint32_t word = 0; word < kWords; ++word) {
        if (const WordCache::Entry* entry = cache.find(key_of(std::to_string(word)))) {
            ASSERT_EQ(entry->ids[0] + entry->ids[1] * 65536U, word);
            ++known;
        }
    }
    EXPECT_GT(known, 50'000U);
}

}  // namespace
}  // namespace holdfast::tokenizer
