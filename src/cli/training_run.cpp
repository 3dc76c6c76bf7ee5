#include "cli/training_run.h"

#include <algorithm>

#include "base/check.h"
#include "checkpoint/transfer_buffers.h"
#include "cli/command.h"

namespace holdfast::cli {

static_assert(model::kPieceElements == optim::kNormBlockElements,
              "a piece of the arena is a whole number of norm blocks");

namespace {

std::vector<optim::ElementRange> to_element_ranges(
    const std::vector<std::pair<std::int64_t, std::int64_t>>& pairs) {
    std::vector<optim::ElementRange> ranges;
    ranges.reserve(pairs.size());
    for (const auto& [begin, end] : pairs) {
        ranges.push_back({begin, end});
    }
    return ranges;
}

std::vector<train::NamedValidationSet> make_val_sets(const config::Settings& settings,
                                                     const train::RunData& data) {
    std::vector<train::NamedValidationSet> sets;
    for (const train::NamedTokenSet& set : data.val) {
        sets.push_back(
            {set.name,
             std::make_unique<data::ValidationSet>(value_or_fail(
                 data::ValidationSet::make(*set.tokens,
                                           {.window_tokens = settings.model.block_size,
                                            .eval_tokens = settings.train.eval_tokens,
                                            .unit_sequences = settings.batch.micro_batch,
                                            .vocab_size = settings.model.vocab_size})))});
    }
    return sets;
}

train::TrainStepOptions step_options(const config::Settings& settings) {
    return {.seed = settings.run.seed,
            .lanes = settings.batch.lanes,
            .micro_batch = settings.batch.micro_batch,
            .grad_clip = settings.optimizer.grad_clip};
}

}  // namespace

TrainingRun::TrainingRun(const config::Settings& settings,
                         const train::RunData& data,
                         kernels::Kernels& kernels)
    : settings_(settings),
      data_(data),
      windows_(value_or_fail(data::WindowMap::make(*data.train, settings.model.block_size))),
      val_sets_(make_val_sets(settings, data)),
      layout_(settings.model, settings.batch.lanes),
      gpt_(gpt_options(), layout_, kernels),
      owned_({{0, layout_.element_count()}}),
      decaying_(to_element_ranges(layout_.decaying_ranges())),
      optimizer_(settings.optimizer,
                 owned_,
                 decaying_,
                 kernels.device(),
                 optim::backend_for(kernels.device())),
      step_(step_options(settings), layout_.element_count(), gpt_, optimizer_),
      snapshot_(layout_, kernels.device()) {}

model::GptOptions TrainingRun::gpt_options() const {
    return {settings_.model, settings_.run.precision, settings_.batch.micro_batch};
}

data::BatchLoaderOptions TrainingRun::loader_options() const {
    return {.seed = settings_.run.seed,
            .sequences = settings_.batch.batch_tokens / settings_.model.block_size,
            .slice = {},
            .vocab_size = settings_.model.vocab_size};
}

RunMemory TrainingRun::planned_memory() const {
    RunMemory memory =
        plan_run_memory(gpt_options(), layout_, step_options(settings_), loader_options());
    if (settings_.checkpoint.backup != "off") {
        // The writer of second copies has buffers of its own.
        memory.saving_bytes += static_cast<std::int64_t>(checkpoint::TransferBuffers::kBytes);
    }
    return memory;
}

void TrainingRun::initialise() {
    gpt_.initialise(settings_.run.seed);
}

state::LiveTensors TrainingRun::live() {
    return {gpt_.master(),
            optimizer_.first_moment(),
            optimizer_.second_moment(),
            optimizer_.update_count()};
}

base::Status TrainingRun::load(checkpoint::Reader& reader) {
    std::vector<checkpoint::TensorTarget> targets;
    for (const auto& tensors : {snapshot_.model_tensors(), snapshot_.optimizer_tensors()}) {
        for (const state::TensorBytes& tensor : tensors) {
            targets.push_back(
                {.info = {tensor.name, tensor.dtype, tensor.shape}, .bytes = tensor.bytes});
        }
    }
    return reader.load(targets, checkpoint::Unrequested::kRefuse);
}

void TrainingRun::install() {
    snapshot_.restore(live());
    gpt_.refresh_compute_copy();
}

void TrainingRun::capture() {
    snapshot_.capture(live());
}

base::Result<std::unique_ptr<data::BatchLoader>> TrainingRun::make_loader(
    const data::Cursor& cursor) const {
    return data::BatchLoader::open(*data_.train, windows_, loader_options(), cursor);
}

}  // namespace holdfast::cli
