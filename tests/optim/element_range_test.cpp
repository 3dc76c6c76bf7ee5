#include "optim/element_range.h"

#include <gtest/gtest.h>

namespace holdfast::optim {
namespace {

using Spans = std::vector<UpdateSpan>;

std::vector<UpdateSpan> cut(const std::vector<ElementRange>& owned,
                            const std::vector<ElementRange>& decaying) {
    return cut_into_spans(owned, decaying);
}

TEST(ElementRange, CutsOwnedRangesAtTheEdgesOfDecay) {
    EXPECT_EQ(cut({{0, 100}}, {{10, 30}, {50, 60}}),
              (Spans{{0, 0, 10, false},
                     {10, 10, 20, true},
                     {30, 30, 20, false},
                     {50, 50, 10, true},
                     {60, 60, 40, false}}));
}

TEST(ElementRange, CountsMomentsThroughTheGapsBetweenOwnedRanges) {
    EXPECT_EQ(cut({{10, 20}, {40, 60}}, {{15, 45}}),
              (Spans{{10, 0, 5, false}, {15, 5, 5, true}, {40, 10, 5, true}, {45, 15, 15, false}}));
}

TEST(ElementRange, KeepsARangeWholeWhereDecayNeitherBeginsNorEnds) {
    EXPECT_EQ(cut({{0, 8}, {8, 16}}, {{0, 16}}), (Spans{{0, 0, 8, true}, {8, 8, 8, true}}));
    EXPECT_EQ(cut({{8, 16}}, {{0, 8}, {16, 24}}), (Spans{{8, 0, 8, false}}));
    EXPECT_EQ(cut({{8, 16}}, {}), (Spans{{8, 0, 8, false}}));
    EXPECT_EQ(cut({}, {{0, 8}}), Spans{});
}

TEST(ElementRange, CountsElements) {
    const std::vector<ElementRange> ranges = {{0, 5}, {7, 17}};
    EXPECT_EQ(element_count(ranges), 15);
}

TEST(ElementRangeDeathTest, RefusesRangesThatOverlapOrAreEmpty) {
    EXPECT_DEATH(cut({{0, 10}, {9, 20}}, {}), "after element 10");
    EXPECT_DEATH(cut({{5, 5}}, {}), "range \\[5, 5\\)");
}

}  // namespace
}  // namespace holdfast::optim
