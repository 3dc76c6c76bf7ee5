#include "train/train_step.h"

#include <ATen/ops/empty.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include "base/check.h"
#include "train/host_tokens.h"

namespace holdfast::train {

TrainStep::TrainStep(const TrainStepOptions& options,
                     std::int64_t element_count,
                     model::Gpt& gpt,
                     optim::AdamW& optimizer)
    : options_(options),
      gpt_(gpt),
      optimizer_(optimizer),
      lanes_(options.lanes, element_count, gpt.device()),
      clip_(element_count, gpt.device(), optim::backend_for(gpt.device())) {
    const at::Device device = gpt.device();
    for (NumbersSlot& slot : slots_) {
        const at::TensorOptions numbers = at::TensorOptions().dtype(at::kDouble);
        slot.device = at::empty({3}, numbers.device(device));
        slot.host = at::empty({3}, numbers.pinned_memory(!device.is_cpu()));
        if (!device.is_cpu()) {
            slot.copied.emplace(device.type());
        }
    }
}

std::int64_t TrainStep::bytes_needed(const TrainStepOptions& options, std::int64_t element_count) {
    return LaneTree::bytes_needed(options.lanes, element_count);
}

bool TrainStep::accumulate(const data::Batch& batch,
                           std::int64_t step,
                           double batch_tokens,
                           const std::function<bool()>& should_stop) {
    const std::int64_t sequences = batch.slice.count;
    const std::int64_t lane_sequences = sequences / options_.lanes;
    HF_CHECK(
        lane_sequences * options_.lanes == sequences && lane_sequences % options_.micro_batch == 0,
        "{} sequences, {} lanes, micro-batch {}",
        sequences,
        options_.lanes,
        options_.micro_batch);
    const at::Tensor tokens = host_tokens(batch.tokens_ST, sequences);
    const at::Tensor targets = host_tokens(batch.targets_ST, sequences);
    lanes_.begin_step();
    for (std::int64_t lane = 0; lane < options_.lanes; ++lane) {
        const std::int64_t lane_begin = lane * lane_sequences;
        for (std::int64_t at = lane_begin; at < lane_begin + lane_sequences;
             at += options_.micro_batch) {
            if (should_stop()) {
                return false;
            }
            gpt_.forward_backward(tokens.narrow(0, at, options_.micro_batch),
                                  targets.narrow(0, at, options_.micro_batch),
                                  model::DropoutKey{.seed = options_.seed,
                                                    .step = step,
                                                    .first_sequence_index = batch.slice.first + at},
                                  batch_tokens,
                                  lanes_.gradient(),
                                  lanes_.loss());
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
    if (!accumulate(batch, step, batch_tokens, should_stop)) {
        return false;
    }
    clip_.measure(lanes_.sum_gradient(), optimizer_.owned());
    clip_.finish(lanes_.sum_loss(), options_.grad_clip);
    updating_ = true;
    optimizer_.update({gpt_.master(), lanes_.sum_gradient(), gpt_.compute_copy()},
                      clip_.outcome(),
                      learning_rate,
                      optim::GradientAfter::kScratch);
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
    return StepNumbers{.loss = numbers[0] / slot.batch_tokens,
                       .grad_norm = numbers[1],
                       .refused = numbers[2] != 0.0};
}

}  // namespace holdfast::train
