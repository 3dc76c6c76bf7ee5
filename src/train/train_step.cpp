#include "train/train_step.h"

#include <ATen/ops/empty.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include "base/check.h"
#include "base/clock.h"
#include "train/host_tokens.h"

namespace holdfast::train {

TrainStep::TrainStep(const TrainStepOptions& options,
                     model::Gpt& gpt,
                     optim::AdamW& optimizer,
                     dist::GradientExchange* exchange)
    : options_(options),
      gpt_(gpt),
      optimizer_(optimizer),
      exchange_(exchange),
      lanes_(options.lanes / options.ranks, gpt.layout().element_count(), gpt.device()),
      clip_(gpt.layout().element_count(), gpt.device(), optim::backend_for(gpt.device())) {
    HF_CHECK((exchange == nullptr) == (options.ranks == 1), "{} ranks", options.ranks);
    if (exchange_ != nullptr) {
        gpt_.set_before_bucket([this](std::int64_t bucket) { exchange_->wait_returned(bucket); });
    }
    const at::Device device = gpt.device();
    for (NumbersSlot& slot : slots_) {
        const at::TensorOptions numbers = at::TensorOptions().dtype(at::kDouble);
        const std::int64_t count = 3 + (exchange_ == nullptr ? 0 : 2 * options.ranks);
        slot.device = at::empty({count}, numbers.device(device));
        slot.host = at::empty({count}, numbers.pinned_memory(!device.is_cpu()));
        if (!device.is_cpu()) {
            slot.copied.emplace(device.type());
        }
    }
}

TrainStep::~TrainStep() {
    gpt_.set_before_bucket({});
}

std::int64_t TrainStep::bytes_needed(const TrainStepOptions& options, std::int64_t element_count) {
    return LaneTree::bytes_needed(options.lanes / options.ranks, element_count);
}

void TrainStep::wait_for_weights() {
    if (exchange_ != nullptr) {
        exchange_->wait_all_returned();
    }
}

void TrainStep::send_bucket(std::int64_t bucket) {
    const model::ArenaBucket& range = gpt_.layout().buckets().at(static_cast<std::size_t>(bucket));
    lanes_.close_range(range.begin, range.end);
    exchange_->begin_bucket(lanes_.sum_gradient(), bucket);
}

void TrainStep::take_micro_batch(const data::Batch& batch,
                                 std::int64_t step,
                                 double batch_tokens,
                                 std::int64_t at,
                                 const model::BucketHook& bucket_is_done) {
    const std::int64_t sequences = batch.slice.count;
    gpt_.forward_backward(
        host_tokens(batch.tokens_ST, sequences).narrow(0, at, options_.micro_batch),
        host_tokens(batch.targets_ST, sequences).narrow(0, at, options_.micro_batch),
        model::DropoutKey{
            .seed = options_.seed, .step = step, .first_sequence_index = batch.slice.first + at},
        batch_tokens,
        lanes_.gradient(),
        lanes_.loss(),
        bucket_is_done);
}

bool TrainStep::accumulate(const data::Batch& batch,
                           std::int64_t step,
                           double batch_tokens,
                           const std::function<bool()>& should_stop) {
    const std::int64_t sequences = batch.slice.count;
    const std::int64_t lane_count = lanes_.lane_count();
    const std::int64_t lane_sequences = sequences / lane_count;
    HF_CHECK(lane_sequences * lane_count == sequences && lane_sequences % options_.micro_batch == 0,
             "{} sequences, {} lanes, micro-batch {}",
             sequences,
             lane_count,
             options_.micro_batch);
    lanes_.begin_step();
    for (std::int64_t lane = 0; lane < lane_count; ++lane) {
        const std::int64_t lane_end = (lane + 1) * lane_sequences;
        for (std::int64_t at = lane * lane_sequences; at < lane_end; at += options_.micro_batch) {
            if (exchange_ == nullptr && should_stop && should_stop()) {
                return false;
            }
            model::BucketHook bucket_is_done;
            if (exchange_ != nullptr && lanes_.is_last_lane() &&
                at + options_.micro_batch == lane_end) {
                bucket_is_done = [this](std::int64_t bucket) { send_bucket(bucket); };
            }
            take_micro_batch(batch, step, batch_tokens, at, bucket_is_done);
        }
        lanes_.finish_lane();
    }
    return true;
}

bool TrainStep::launch(const data::Batch& batch,
                       std::int64_t step,
                       double learning_rate,
                       const std::function<bool()>& should_stop) {
    const auto batch_tokens = static_cast<double>(
        static_cast<std::int64_t>(batch.sequence_hashes.size()) * batch.window_tokens);
    const double begin_seconds = base::monotonic_seconds();
    const double waited_before = exchange_ == nullptr ? 0.0 : exchange_->waited_seconds();
    if (!accumulate(batch, step, batch_tokens, should_stop)) {
        return false;
    }
    if (exchange_ != nullptr) {
        // What was waited for in the meantime is the others' time, not this rank's.
        const double waited = exchange_->waited_seconds() - waited_before;
        exchange_->sum_loss(lanes_.sum_loss(), base::monotonic_seconds() - begin_seconds - waited);
        exchange_->finish_buckets(lanes_.sum_gradient());
    }
    clip_.measure(lanes_.sum_gradient(), optimizer_.owned());
    if (exchange_ != nullptr) {
        exchange_->sum_disjoint(clip_.block_sums());
    }
    clip_.finish(lanes_.sum_loss(), options_.grad_clip);
    updating_ = true;
    optimizer_.update({gpt_.master(), lanes_.sum_gradient(), gpt_.compute_copy()},
                      clip_.outcome(),
                      learning_rate,
                      optim::GradientAfter::kScratch);
    if (exchange_ != nullptr) {
        exchange_->begin_return(gpt_.compute_copy().defined() ? gpt_.compute_copy()
                                                              : gpt_.master());
    }
    updated_step_ = step;
    updating_ = false;
    NumbersSlot& slot = slot_of(step);
    slot.batch_tokens = batch_tokens;
    keep_numbers(slot);
    return true;
}

void TrainStep::keep_numbers(NumbersSlot& slot) {
    slot.device.select(0, 0).copy_(lanes_.sum_loss());
    slot.device.select(0, 1).copy_(clip_.outcome().norm);
    slot.device.select(0, 2).copy_(clip_.outcome().bad);
    if (exchange_ != nullptr) {
        slot.device.narrow(0, 3, options_.ranks).copy_(exchange_->compute_seconds_of_ranks());
        slot.device.narrow(0, 3 + options_.ranks, options_.ranks)
            .copy_(exchange_->wait_seconds_of_ranks());
    }
    slot.host.copy_(slot.device, /*non_blocking=*/true);
    if (slot.copied) {
        const c10::impl::VirtualGuardImpl guard(gpt_.device().type());
        slot.copied->record(guard.getStream(gpt_.device()));
    }
}

StepNumbers TrainStep::read(std::int64_t step) {
    NumbersSlot& slot = slot_of(step);
    if (slot.copied) {
        slot.copied->synchronize();
    }
    const double* numbers = slot.host.const_data_ptr<double>();
    const double* end = numbers + slot.host.numel();
    const double* waits = exchange_ == nullptr ? end : numbers + 3 + options_.ranks;
    return StepNumbers{.loss = numbers[0] / slot.batch_tokens,
                       .grad_norm = numbers[1],
                       .refused = numbers[2] != 0.0,
                       .compute_seconds_of_ranks = {numbers + 3, waits},
                       .wait_seconds_of_ranks = {waits, end}};
}

}  // namespace holdfast::train
