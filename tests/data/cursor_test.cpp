#include "data/cursor.h"

#include <gtest/gtest.h>

#include "data/global_order.h"
#include "data/sample_map.h"

namespace holdfast::data {
namespace {

TEST(Cursor, WritesTheEndOfAnEpochAsTheStartOfTheNext) {
    EXPECT_EQ((Cursor{0, 8}.advanced(1, 10)), (Cursor{0, 9}));
    EXPECT_EQ((Cursor{0, 9}.advanced(1, 10)), (Cursor{1, 0}));
    EXPECT_EQ((Cursor{0, 9}.advanced(2, 10)), (Cursor{1, 1}));
    EXPECT_EQ((Cursor{3, 0}.advanced(0, 10)), (Cursor{3, 0}));
    EXPECT_EQ((Cursor{3, 0}.advanced(10, 10)), (Cursor{4, 0}));
}

TEST(Cursor, PassesSeveralEpochsAtOnce) {
    EXPECT_EQ((Cursor{2, 7}.advanced(36, 10)), (Cursor{6, 3}));
    EXPECT_EQ((Cursor{0, 0}.advanced(5, 1)), (Cursor{5, 0}));
}

TEST(Cursor, CountsGlobalSamplesWithoutAGap) {
    Cursor cursor;
    for (std::int64_t i = 0; i < 50; ++i) {
        EXPECT_EQ(cursor.global_sample(7), i);
        EXPECT_EQ(cursor.left_in_epoch(7), 7 - i % 7);
        cursor = cursor.advanced(1, 7);
    }
}

TEST(Cursor, AdvancesTheSameInOneStrideOrMany) {
    for (std::int64_t stride = 1; stride < 30; ++stride) {
        Cursor cursor{1, 2};
        for (std::int64_t i = 0; i < stride; ++i) {
            cursor = cursor.advanced(1, 11);
        }
        EXPECT_EQ((Cursor{1, 2}.advanced(stride, 11)), cursor);
    }
}

TEST(SampleMap, TellsTheShardAndTokenACursorMeans) {
    const SampleMap map(9, WindowMap::make({9, 13}, 4).value());
    ASSERT_EQ(map.windows_per_epoch(), 5);
    for (std::int64_t epoch = 0; epoch < 3; ++epoch) {
        const GlobalOrder order(9, epoch, 5);
        for (std::int64_t sample = 0; sample < 5; ++sample) {
            EXPECT_EQ(map.locate({epoch, sample}), map.windows().locate(order.window_at(sample)));
        }
    }
}

}  // namespace
}  // namespace holdfast::data
