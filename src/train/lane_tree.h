// The fixed tree in which lanes are added (promise P4).
//
// A lane is one sequential accumulation of micro-batches into one gradient arena. Lanes are added
// pairwise, lane 0 with 1, 2 with 3, then the pairs, and so on: the shape depends on the lane count
// alone, so whoever computes which lane, the sum has the same bits. With a lane count that is no
// power of two the last, incomplete pair waits for the end and is added from the right.
//
// Owns floor(log2(lanes)) + 1 arenas, allocated and touched once, each of `element_count` fp32
// numbers, plus one fp64 loss beside each. One thread at a time; on a GPU the calls only enqueue
// work.
#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

namespace holdfast::train {

class LaneTree {
public:
    LaneTree(std::int64_t lane_count, std::int64_t element_count, at::Device device);

    // Starts a step: all lanes open, nothing summed.
    void begin_step();
    // The arena and loss the current lane accumulates into, zeroed when the lane began.
    [[nodiscard]] at::Tensor& gradient() { return arenas_.at(depth_); }
    [[nodiscard]] at::Tensor& loss() { return losses_.at(depth_); }
    // Ends the current lane and adds every pair that is complete. After the last lane sum() is
    // ready.
    void finish_lane();
    // Of the last lane, before finish_lane(): its elements [begin, end) are final, and the sum over
    // all lanes is ready there when this returns. Either all elements are closed so, or none.
    void close_range(std::int64_t begin, std::int64_t end);
    [[nodiscard]] bool is_last_lane() const { return lanes_done_ + 1 == lane_count_; }

    // The arena of the sum; before the last lane is finished, only its closed ranges are.
    [[nodiscard]] const at::Tensor& sum_gradient() const { return arenas_.front(); }
    [[nodiscard]] at::Tensor& sum_loss();

    [[nodiscard]] std::int64_t lane_count() const { return lane_count_; }
    // Bytes the tree holds: 4 x element_count x (floor(log2(lanes)) + 1).
    static std::int64_t bytes_needed(std::int64_t lane_count, std::int64_t element_count);

private:
    void open_lane();

    std::int64_t lane_count_;
    std::int64_t lanes_done_ = 0;
    std::size_t depth_ = 0;             // of the arena that is being filled
    std::int64_t closed_elements_ = 0;  // of the last lane
    std::vector<at::Tensor> arenas_;
    std::vector<at::Tensor> losses_;
};

}  // namespace holdfast::train
