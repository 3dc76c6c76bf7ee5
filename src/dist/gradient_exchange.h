// The exchange between ranks: gradients are summed in the fixed tree of lanes (promise P4), each
// piece by the rank that owns it; updated weights come back to all (ZeRO-1, Rajbhandari et al.,
// arXiv:1910.02054).
//
// A bucket of the arena is cut into as many equal pieces as there are ranks. It leaves when its
// gradients are final: begin_bucket() starts an all-to-all that brings each owner every rank's
// share of its piece; the owner adds them in the order of the tree. With several nodes there are
// two stages, inside the node and between nodes, which carry over the slow link only what the node
// has summed. A bucket has the time in which the next two are computed for the first stage and that
// of one more for the second; so three at most are on their way. Weights come back the other way,
// and each bucket is passed on inside the node while the one needed before it is used.
//
// Bytes that a rank sends a step, with n ranks in one stage and N elements in the arena:
//   gradients  4 N (n - 1) / n        weights  (2 or 4) N (n - 1) / n
// and holds, as staging, two of the largest bucket in fp32 (with a second stage, a further part of
// 1 / local ranks of it) and its pieces of the weights, (2 or 4) N / n bytes (with a second stage
// those of its place in the node, n being the local ranks).
//
// Borrows the group, which must outlive it. Owns the staging. One thread. On a CPU the calls wait
// where they must; on a GPU they enqueue. A lost rank throws base::Failure (communicator.h).
#pragma once

#include <cstdint>
#include <deque>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>

#include "dist/communicator.h"

namespace holdfast::dist {

// Elements [begin, end) of the arena.
struct ArenaRange {
    std::int64_t begin = 0;
    std::int64_t end = 0;

    [[nodiscard]] std::int64_t size() const { return end - begin; }
    bool operator==(const ArenaRange&) const = default;
};

// The range of `bucket` that this rank owns, stage by stage; its size is bucket / ranks.
ArenaRange owned_piece(const ArenaRange& bucket, const std::vector<ExchangeStage>& stages);

class GradientExchange {
public:
    // Every bucket's size is a multiple of the rank count. Buckets are in arena order.
    GradientExchange(Communicator& group, std::vector<ArenaRange> buckets, at::Device device);
    ~GradientExchange();
    GradientExchange(const GradientExchange&) = delete;
    GradientExchange& operator=(const GradientExchange&) = delete;
    GradientExchange(GradientExchange&&) = delete;
    GradientExchange& operator=(GradientExchange&&) = delete;

    // One range a bucket, in arena order.
    [[nodiscard]] const std::vector<ArenaRange>& owned() const { return owned_; }

    // Starts the exchange of one bucket of `gradient` (fp32 arena), whose elements are final. Waits
    // for the first stage of the bucket before the one before, and for the second of that before.
    void begin_bucket(const at::Tensor& gradient, std::int64_t bucket);
    // Waits for the rest: the owned ranges of `gradient` hold the sums over all ranks.
    void finish_buckets(const at::Tensor& gradient);

    // The sum over ranks, in the tree, of one fp64 scalar; the same on all ranks. In place.
    // `compute_seconds`, what this rank computed for it, goes along, and what it has waited since
    // the call before.
    void sum_loss(at::Tensor& loss, double compute_seconds);
    // Of the last sum_loss(): fp64 [ranks], on the device.
    [[nodiscard]] const at::Tensor& compute_seconds_of_ranks() const { return compute_seconds_; }
    [[nodiscard]] const at::Tensor& wait_seconds_of_ranks() const { return wait_seconds_; }
    // Element by element; each is nonzero on one rank at most, so the order does not matter.
    void sum_disjoint(const at::Tensor& values);

    // Starts the return of `weights` (an arena, any dtype), whose owned ranges are new: the bucket
    // needed first by the next forward pass first, which is the last one.
    void begin_return(const at::Tensor& weights);
    // Waits until the bucket has come, and with several nodes until the one needed next has come to
    // this node; nothing to wait for is fine.
    void wait_returned(std::int64_t bucket);
    void wait_all_returned();

    // Time in which this thread has waited for other ranks so far; of a GPU only what the host did.
    [[nodiscard]] double waited_seconds() const { return waited_seconds_; }
    // Sent by this rank so far.
    [[nodiscard]] std::int64_t sent_bytes() const { return sent_bytes_; }

    // Bytes of the staging, with stages of these sizes (stage_sizes()) and weights of
    // `weight_bytes` each: 2 x 4 x the largest bucket of each stage, and the pieces of the weights
    // on their way back.
    static std::int64_t bytes_needed(const std::vector<ArenaRange>& buckets,
                                     const std::vector<int>& stage_sizes,
                                     std::int64_t weight_bytes);

private:
    struct Flight;
    struct Return;
    void start_stage(Flight& flight, const at::Tensor& gradient);
    void land_stage(Flight& flight, const at::Tensor& gradient);
    void advance(std::size_t flight_count, const at::Tensor& gradient);
    void start_return_stage(Return& coming, const at::Tensor& weights);
    void advance_return(std::int64_t bucket, std::size_t stages_left);
    void wait(c10d::Work& work);

    Communicator& group_;
    std::vector<ArenaRange> buckets_;
    std::vector<ArenaRange> owned_;
    std::vector<std::vector<at::Tensor>> staging_;  // [slot][stage]
    std::size_t next_slot_ = 0;
    std::deque<Flight> flights_;
    at::Tensor loss_and_seconds_;  // fp64 [3]: loss, computed, waited
    at::Tensor of_ranks_;          // fp64 [ranks x 3]
    at::Tensor compute_seconds_;   // fp64 [ranks]
    at::Tensor wait_seconds_;      // fp64 [ranks]
    at::Tensor returning_weights_;
    std::vector<Return> returns_;  // by bucket
    at::Tensor return_staging_;    // the owned pieces, on their way
    std::int64_t sent_bytes_ = 0;
    double waited_seconds_ = 0;
    double waited_before_seconds_ = 0;  // at the last sum_loss()
};

}  // namespace holdfast::dist
