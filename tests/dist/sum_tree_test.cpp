#include "dist/sum_tree.h"

#include <cmath>

#include <ATen/ops/full.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast::dist {
namespace {

using testing::ElementsAre;

// Numbers whose sum depends on the order it is taken in.
float part(std::int64_t index) {
    return static_cast<float>(std::pow(10.0, index % 5) / 3.0 + static_cast<double>(index));
}

std::vector<at::Tensor> parts_of(std::int64_t count) {
    std::vector<at::Tensor> parts;
    for (std::int64_t i = 0; i < count; ++i) {
        parts.push_back(at::full({3}, part(i), at::TensorOptions().dtype(at::kFloat)));
    }
    return parts;
}

TEST(SumTree, P4_EightPartsAreAddedPairwise) {
    std::vector<at::Tensor> parts = parts_of(8);
    sum_tree(parts);
    const float left = (part(0) + part(1)) + (part(2) + part(3));
    const float right = (part(4) + part(5)) + (part(6) + part(7));
    EXPECT_EQ(parts.front()[0].item<float>(), left + right);
}

TEST(SumTree, P4_AnIncompletePairIsAddedFromTheRight) {
    std::vector<at::Tensor> parts = parts_of(7);
    sum_tree(parts);
    const float left = (part(0) + part(1)) + (part(2) + part(3));
    const float right = (part(4) + part(5)) + part(6);
    EXPECT_EQ(parts.front()[2].item<float>(), left + right);
}

TEST(SumTree, P4_RankCountsAreThoseOfWholeSubtrees) {
    EXPECT_THAT(valid_rank_counts(1), ElementsAre(1));
    EXPECT_THAT(valid_rank_counts(8), ElementsAre(1, 2, 4, 8));
    EXPECT_THAT(valid_rank_counts(12), ElementsAre(1, 3, 6, 12));
    EXPECT_THAT(valid_rank_counts(7), ElementsAre(1, 7));
}

}  // namespace
}  // namespace holdfast::dist
