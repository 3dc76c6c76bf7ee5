#include "train/lane_tree.h"

#include <bit>

#include <ATen/ops/zeros.h>

#include "base/check.h"

namespace holdfast::train {

namespace {

std::size_t arena_count(std::int64_t lane_count) {
    return static_cast<std::size_t>(std::bit_width(static_cast<std::uint64_t>(lane_count)));
}

}  // namespace

LaneTree::LaneTree(std::int64_t lane_count, std::int64_t element_count, at::Device device)
    : lane_count_(lane_count) {
    HF_CHECK(lane_count >= 1, "{} lanes", lane_count);
    for (std::size_t i = 0; i < arena_count(lane_count); ++i) {
        arenas_.push_back(
            at::zeros({element_count}, at::TensorOptions().dtype(at::kFloat).device(device)));
        losses_.push_back(at::zeros({}, at::TensorOptions().dtype(at::kDouble).device(device)));
    }
}

std::int64_t LaneTree::bytes_needed(std::int64_t lane_count, std::int64_t element_count) {
    return static_cast<std::int64_t>(arena_count(lane_count)) * element_count * 4;
}

void LaneTree::open_lane() {
    arenas_.at(depth_).zero_();
    losses_.at(depth_).zero_();
}

void LaneTree::begin_step() {
    lanes_done_ = 0;
    depth_ = 0;
    closed_elements_ = 0;
    open_lane();
}

void LaneTree::close_range(std::int64_t begin, std::int64_t end) {
    HF_CHECK(is_last_lane(), "a range of lane {} of {}", lanes_done_ + 1, lane_count_);
    // The last lane closes all pairs.
    for (std::size_t depth = depth_; depth > 0; --depth) {
        arenas_.at(depth - 1)
            .narrow(0, begin, end - begin)
            .add_(arenas_.at(depth).narrow(0, begin, end - begin));
    }
    closed_elements_ += end - begin;
}

void LaneTree::finish_lane() {
    HF_CHECK(lanes_done_ < lane_count_, "lane {} of {}", lanes_done_ + 1, lane_count_);
    const bool is_closed = closed_elements_ > 0;
    HF_CHECK(!is_closed || closed_elements_ == arenas_.front().numel(),
             "{} of {} elements are closed",
             closed_elements_,
             arenas_.front().numel());
    ++lanes_done_;
    // After lane n the low zero bits of n tell how many complete pairs end here; the last lane
    // closes all.
    int pairs = std::countr_zero(static_cast<std::uint64_t>(lanes_done_));
    if (lanes_done_ == lane_count_) {
        pairs = static_cast<int>(depth_);
    }
    for (; pairs > 0; --pairs) {
        if (!is_closed) {
            arenas_.at(depth_ - 1).add_(arenas_.at(depth_));
        }
        losses_.at(depth_ - 1).add_(losses_.at(depth_));
        --depth_;
    }
    if (lanes_done_ < lane_count_) {
        ++depth_;
        open_lane();
    }
}

at::Tensor& LaneTree::sum_loss() {
    HF_CHECK(lanes_done_ == lane_count_, "{} of {} lanes are done", lanes_done_, lane_count_);
    return losses_.front();
}

}  // namespace holdfast::train
