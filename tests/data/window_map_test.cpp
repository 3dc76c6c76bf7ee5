#include "data/window_map.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast::data {
namespace {

TEST(WindowMap, CutsAShardIntoWindowsThatShareTheirEdgeToken) {
    const auto map = WindowMap::make({9}, 4);  // inputs 0-3 and 4-7; token 8 is the last target
    ASSERT_TRUE(map.ok());
    EXPECT_EQ(map.value().window_count(), 2);
    EXPECT_EQ(map.value().locate(0), (WindowLocation{0, 0}));
    EXPECT_EQ(map.value().locate(1), (WindowLocation{0, 4}));
    EXPECT_EQ(map.value().unused_token_count(), 1);
}

TEST(WindowMap, LeavesATailThatFillsNoWindow) {
    EXPECT_EQ(WindowMap::make({8}, 4).value().window_count(), 1);
    EXPECT_EQ(WindowMap::make({12}, 4).value().window_count(), 2);
    EXPECT_EQ(WindowMap::make({13}, 4).value().window_count(), 3);
}

TEST(WindowMap, NumbersWindowsThroughTheShardsAndPassesEmptyOnes) {
    const auto map = WindowMap::make({4, 9, 3, 5, 1}, 4);  // 0, 2, 0, 1, 0 windows
    ASSERT_TRUE(map.ok());
    ASSERT_EQ(map.value().window_count(), 3);
    EXPECT_EQ(map.value().locate(0), (WindowLocation{1, 0}));
    EXPECT_EQ(map.value().locate(1), (WindowLocation{1, 4}));
    EXPECT_EQ(map.value().locate(2), (WindowLocation{3, 0}));
}

TEST(WindowMap, LocatesEveryWindowInsideItsShard) {
    const std::vector<std::int64_t> counts = {17, 1, 100, 8, 64, 65};
    for (const std::int64_t length : {1, 2, 3, 7, 16}) {
        const auto map = WindowMap::make(counts, length);
        ASSERT_TRUE(map.ok());
        WindowLocation previous{-1, 0};
        for (std::int64_t w = 0; w < map.value().window_count(); ++w) {
            const WindowLocation here = map.value().locate(w);
            EXPECT_LT(here.first_token + length, counts[static_cast<std::size_t>(here.shard)]);
            if (here.shard == previous.shard) {
                EXPECT_EQ(here.first_token, previous.first_token + length);
            } else {
                EXPECT_GT(here.shard, previous.shard);
                EXPECT_EQ(here.first_token, 0);
            }
            previous = here;
        }
    }
}

TEST(WindowMap, HoldsShardsBeyondTwoToThe32Tokens) {
    const std::int64_t tokens = std::int64_t{4} << 30;
    const auto map = WindowMap::make({tokens, tokens}, 1024);
    ASSERT_TRUE(map.ok());
    const std::int64_t last = map.value().window_count() - 1;
    EXPECT_EQ(map.value().locate(last).shard, 1);
    EXPECT_EQ(map.value().locate(last).first_token, tokens - 2048);
}

TEST(WindowMap, RefusesDataWithoutAWindow) {
    const auto map = WindowMap::make({3, 128}, 128);
    ASSERT_FALSE(map.ok());
    EXPECT_EQ(map.error().kind, base::ErrorKind::kInvalid);
    EXPECT_THAT(map.error().what, testing::HasSubstr("has 128 tokens; one window takes 129"));
}

}  // namespace
}  // namespace holdfast::data
