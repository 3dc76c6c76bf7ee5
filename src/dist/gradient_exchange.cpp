#include "dist/gradient_exchange.h"

#include <algorithm>

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <c10/core/InferenceMode.h>
#include <torch/csrc/distributed/c10d/Backend.hpp>

#include "base/check.h"
#include "base/clock.h"
#include "dist/sum_tree.h"

namespace holdfast::dist {

namespace {

// Buckets in the first stage; a later stage holds one, so two buffers a stage do.
constexpr std::size_t kFirstStageMax = 2;

// What each rank tells all with its loss.
constexpr std::int64_t kNumbersOfRank = 3;

// What is left of `range` after the first `stage_count` stages.
ArenaRange range_after(ArenaRange range,
                       const std::vector<ExchangeStage>& stages,
                       std::size_t stage_count) {
    for (std::size_t i = 0; i < stage_count; ++i) {
        const std::int64_t part = range.size() / stages.at(i).size;
        range.begin += part * stages.at(i).index;
        range.end = range.begin + part;
    }
    return range;
}

at::Tensor part_of(const at::Tensor& arena, const ArenaRange& range) {
    return arena.narrow(0, range.begin, range.size());
}

std::int64_t largest_bucket(const std::vector<ArenaRange>& buckets) {
    std::int64_t largest = 0;
    for (const ArenaRange& bucket : buckets) {
        largest = std::max(largest, bucket.size());
    }
    return largest;
}

// Of `bytes` cut into one part a member, those that leave this one.
std::int64_t leaving_bytes(std::int64_t bytes, int members) {
    return bytes / members * (members - 1);
}

}  // namespace

// A bucket's gradients on their way.
struct GradientExchange::Flight {
    std::int64_t bucket = 0;
    std::size_t slot = 0;
    std::size_t stage = 0;
    c10::intrusive_ptr<c10d::Work> work;
};

// A bucket's weights on their way back: stages in reverse.
struct GradientExchange::Return {
    std::int64_t bucket = 0;
    std::size_t stages_left = 0;  // 0: here
    c10::intrusive_ptr<c10d::Work> work;
};

ArenaRange owned_piece(const ArenaRange& bucket, const std::vector<ExchangeStage>& stages) {
    return range_after(bucket, stages, stages.size());
}

GradientExchange::GradientExchange(Communicator& group,
                                   std::vector<ArenaRange> buckets,
                                   at::Device device)
    : group_(group), buckets_(std::move(buckets)) {
    const c10::InferenceMode inference;
    const auto& stages = group_.stages();
    const auto fp32 = at::TensorOptions(device).dtype(at::kFloat);
    for (const ArenaRange& bucket : buckets_) {
        HF_CHECK(bucket.size() % group_.size() == 0,
                 "a bucket of {} elements for {} ranks",
                 bucket.size(),
                 group_.size());
        owned_.push_back(owned_piece(bucket, stages));
        returns_.push_back({static_cast<std::int64_t>(returns_.size()), 0, {}});
    }
    for (std::size_t slot = 0; slot < kFirstStageMax; ++slot) {
        std::int64_t elements = largest_bucket(buckets_);
        staging_.emplace_back();
        for (const ExchangeStage& stage : stages) {
            staging_.back().push_back(at::zeros({elements}, fp32));
            elements /= stage.size;
        }
    }
    loss_and_seconds_ = at::zeros({kNumbersOfRank}, fp32.dtype(at::kDouble));
    of_ranks_ = at::zeros({kNumbersOfRank * group_.size()}, fp32.dtype(at::kDouble));
    compute_seconds_ = of_ranks_.view({group_.size(), kNumbersOfRank}).select(1, 1);
    wait_seconds_ = of_ranks_.view({group_.size(), kNumbersOfRank}).select(1, 2);
}

GradientExchange::~GradientExchange() = default;

std::int64_t GradientExchange::bytes_needed(const std::vector<ArenaRange>& buckets,
                                            const std::vector<int>& stage_sizes,
                                            std::int64_t weight_bytes) {
    std::int64_t elements = largest_bucket(buckets);
    std::int64_t sum = 0;
    for (const int size : stage_sizes) {
        sum += elements;
        elements /= size;
    }
    return static_cast<std::int64_t>(kFirstStageMax) * sum * 4 +
           buckets.back().end / stage_sizes.front() * weight_bytes;
}

void GradientExchange::wait(c10d::Work& work) {
    const double begin_seconds = base::monotonic_seconds();
    group_.wait(work);
    waited_seconds_ += base::monotonic_seconds() - begin_seconds;
}

void GradientExchange::start_stage(Flight& flight, const at::Tensor& gradient) {
    const auto& stages = group_.stages();
    const ExchangeStage& stage = stages.at(flight.stage);
    const ArenaRange range =
        range_after(buckets_.at(static_cast<std::size_t>(flight.bucket)), stages, flight.stage);
    at::Tensor input = part_of(gradient, range);
    at::Tensor output = staging_.at(flight.slot).at(flight.stage).narrow(0, 0, range.size());
    std::vector<std::int64_t> equal_parts;
    flight.work = stage.backend->alltoall_base(output, input, equal_parts, equal_parts);
    sent_bytes_ += leaving_bytes(range.size() * 4, stage.size);
}

void GradientExchange::land_stage(Flight& flight, const at::Tensor& gradient) {
    const auto& stages = group_.stages();
    const ExchangeStage& stage = stages.at(flight.stage);
    wait(*flight.work);
    const ArenaRange& bucket = buckets_.at(static_cast<std::size_t>(flight.bucket));
    const ArenaRange mine = range_after(bucket, stages, flight.stage + 1);
    const at::Tensor shares = staging_.at(flight.slot)
                                  .at(flight.stage)
                                  .narrow(0, 0, mine.size() * stage.size)
                                  .view({stage.size, mine.size()});
    std::vector<at::Tensor> parts = shares.unbind(0);
    sum_tree(parts);
    part_of(gradient, mine).copy_(parts.front());
    ++flight.stage;
}

void GradientExchange::advance(std::size_t flight_count, const at::Tensor& gradient) {
    for (std::size_t i = 0; i < flight_count; ++i) {
        Flight& flight = flights_.at(i);
        land_stage(flight, gradient);
        if (flight.stage < group_.stages().size()) {
            start_stage(flight, gradient);
        }
    }
    while (!flights_.empty() && flights_.front().stage == group_.stages().size()) {
        flights_.pop_front();
    }
}

void GradientExchange::begin_bucket(const at::Tensor& gradient, std::int64_t bucket) {
    const c10::InferenceMode inference;
    // By how many there are and never by what has come: every rank must start the same collectives
    // in the same order.
    const auto first_stage = std::find_if(
        flights_.begin(), flights_.end(), [](const Flight& flight) { return flight.stage == 0; });
    if (std::distance(first_stage, flights_.end()) == kFirstStageMax) {
        advance(static_cast<std::size_t>(std::distance(flights_.begin(), first_stage)) + 1,
                gradient);
    }
    flights_.push_back({bucket, next_slot_, 0, {}});
    next_slot_ = (next_slot_ + 1) % kFirstStageMax;
    start_stage(flights_.back(), gradient);
}

void GradientExchange::finish_buckets(const at::Tensor& gradient) {
    const c10::InferenceMode inference;
    while (!flights_.empty()) {
        advance(flights_.size(), gradient);
    }
}

void GradientExchange::sum_loss(at::Tensor& loss, double compute_seconds) {
    const c10::InferenceMode inference;
    loss_and_seconds_.select(0, 0).copy_(loss);
    loss_and_seconds_.select(0, 1).fill_(compute_seconds);
    loss_and_seconds_.select(0, 2).fill_(waited_seconds_ - waited_before_seconds_);
    waited_before_seconds_ = waited_seconds_;
    wait(*group_.device_backend()._allgather_base(of_ranks_, loss_and_seconds_));
    std::vector<at::Tensor> parts =
        of_ranks_.view({group_.size(), kNumbersOfRank}).select(1, 0).unbind(0);
    sum_tree(parts);
    loss.copy_(parts.front());
}

void GradientExchange::sum_disjoint(const at::Tensor& values) {
    const c10::InferenceMode inference;
    std::vector<at::Tensor> tensors = {values};
    wait(*group_.device_backend().allreduce(tensors));
}

void GradientExchange::start_return_stage(Return& coming, const at::Tensor& weights) {
    const auto& stages = group_.stages();
    const std::size_t index = coming.stages_left - 1;
    const ExchangeStage& stage = stages.at(index);
    const ArenaRange& bucket = buckets_.at(static_cast<std::size_t>(coming.bucket));
    const ArenaRange mine = range_after(bucket, stages, index + 1);
    at::Tensor output = part_of(weights, range_after(bucket, stages, index));
    // The backends want an input that is no part of the output.
    at::Tensor input = return_staging_.narrow(0, bucket.begin / stages.front().size, mine.size());
    input.copy_(part_of(weights, mine));
    coming.work = stage.backend->_allgather_base(output, input);
    sent_bytes_ += mine.size() * weights.element_size() * (stage.size - 1);
}

void GradientExchange::begin_return(const at::Tensor& weights) {
    const c10::InferenceMode inference;
    if (!return_staging_.defined()) {
        return_staging_ =
            at::zeros({buckets_.back().end / group_.stages().front().size}, weights.options());
    }
    returning_weights_ = weights;
    for (std::size_t i = returns_.size(); i > 0; --i) {
        Return& coming = returns_.at(i - 1);
        HF_CHECK(coming.stages_left == 0, "bucket {} is still on its way", i - 1);
        coming.stages_left = group_.stages().size();
        start_return_stage(coming, weights);
    }
}

void GradientExchange::advance_return(std::int64_t bucket, std::size_t stages_left) {
    Return& coming = returns_.at(static_cast<std::size_t>(bucket));
    while (coming.stages_left > stages_left) {
        wait(*coming.work);
        coming.work.reset();
        if (--coming.stages_left > 0) {
            start_return_stage(coming, returning_weights_);
        }
    }
}

void GradientExchange::wait_returned(std::int64_t bucket) {
    const c10::InferenceMode inference;
    advance_return(bucket, 0);
    if (bucket > 0) {
        advance_return(bucket - 1, 1);
    }
}

void GradientExchange::wait_all_returned() {
    for (std::size_t i = returns_.size(); i > 0; --i) {
        wait_returned(static_cast<std::int64_t>(i) - 1);
    }
}

}  // namespace holdfast::dist
