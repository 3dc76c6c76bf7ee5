#include "train/lane_tree.h"

#include <ATen/ops/full.h>
#include <gtest/gtest.h>

namespace holdfast::train {
namespace {

// Numbers whose sum depends on the order in which they are added.
float lane_value(std::int64_t lane) {
    return 1.0F / static_cast<float>(3 * lane + 1) + 1e7F * static_cast<float>(lane % 3);
}

// The tree by its definition: halves that are aligned, left plus right.
float tree_sum(std::int64_t begin, std::int64_t end, std::int64_t width) {
    if (begin >= end) {
        return 0.0F;
    }
    if (width == 1) {
        return lane_value(begin);
    }
    const std::int64_t middle = begin + width / 2;
    if (middle >= end) {
        return tree_sum(begin, end, width / 2);
    }
    return tree_sum(begin, middle, width / 2) + tree_sum(middle, end, width / 2);
}

TEST(LaneTree, P4_AddsLanesInTheFixedTree) {
    for (std::int64_t lanes = 1; lanes <= 17; ++lanes) {
        LaneTree tree(lanes, 8, at::kCPU);
        for (int repetition = 0; repetition < 2; ++repetition) {
            tree.begin_step();
            for (std::int64_t lane = 0; lane < lanes; ++lane) {
                EXPECT_EQ(tree.gradient()[0].item<float>(), 0.0F) << "a lane begins at zero";
                tree.gradient().add_(at::full({8}, lane_value(lane)));
                tree.loss().add_(1.0);
                tree.finish_lane();
            }
            EXPECT_EQ(tree.sum_gradient()[7].item<float>(), tree_sum(0, lanes, 32))
                << lanes << " lanes";
            EXPECT_EQ(tree.sum_loss().item<double>(), static_cast<double>(lanes));
        }
    }
}

TEST(LaneTree, P4_RangesThatAreClosedOneByOneHoldTheSameSum) {
    for (std::int64_t lanes = 1; lanes <= 9; ++lanes) {
        LaneTree tree(lanes, 8, at::kCPU);
        for (int repetition = 0; repetition < 2; ++repetition) {
            tree.begin_step();
            for (std::int64_t lane = 0; lane < lanes; ++lane) {
                tree.gradient().add_(at::full({8}, lane_value(lane)));
                if (tree.is_last_lane()) {
                    tree.close_range(0, 3);
                    EXPECT_EQ(tree.sum_gradient()[2].item<float>(), tree_sum(0, lanes, 16))
                        << "ready before the rest";
                    tree.close_range(3, 8);
                }
                tree.finish_lane();
            }
            EXPECT_EQ(tree.sum_gradient()[0].item<float>(), tree_sum(0, lanes, 16)) << lanes;
            EXPECT_EQ(tree.sum_gradient()[7].item<float>(), tree_sum(0, lanes, 16)) << lanes;
        }
    }
}

TEST(LaneTree, HoldsOneArenaMoreThanTheDepthOfTheTree) {
    EXPECT_EQ(LaneTree::bytes_needed(1, 100), 400);
    EXPECT_EQ(LaneTree::bytes_needed(2, 100), 800);
    EXPECT_EQ(LaneTree::bytes_needed(8, 100), 1600);
}

}  // namespace
}  // namespace holdfast::train
