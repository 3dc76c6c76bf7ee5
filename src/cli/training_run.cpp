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

std::unique_ptr<dist::GradientExchange> make_exchange(dist::Communicator* group,
                                                      const model::ArenaLayout& layout,
                                                      at::Device device) {
    if (group == nullptr) {
        return nullptr;
    }
    return std::make_unique<dist::GradientExchange>(*group, exchange_buckets(layout), device);
}

std::vector<optim::ElementRange> owned_ranges(const dist::GradientExchange* exchange,
                                              const model::ArenaLayout& layout) {
    if (exchange == nullptr) {
        return {{0, layout.element_count()}};
    }
    std::vector<optim::ElementRange> ranges;
    for (const dist::ArenaRange& range : exchange->owned()) {
        ranges.push_back({range.begin, range.end});
    }
    return ranges;
}

train::TrainStepOptions step_options(const config::Settings& settings, int ranks) {
    return {.seed = settings.run.seed,
            .lanes = settings.batch.lanes,
            .ranks = ranks,
            .micro_batch = settings.batch.micro_batch,
            .grad_clip = settings.optimizer.grad_clip};
}

}  // namespace

TrainingRun::TrainingRun(const config::Settings& settings,
                         const train::RunData& data,
                         kernels::Kernels& kernels,
                         dist::Communicator* group)
    : settings_(settings),
      data_(data),
      rank_(group == nullptr ? 0 : group->rank()),
      ranks_(group == nullptr ? 1 : group->size()),
      shape_(group == nullptr ? dist::GroupShape{} : group->shape()),
      windows_(value_or_fail(data::WindowMap::make(*data.train, settings.model.block_size))),
      val_sets_(make_val_sets(settings, data)),
      layout_(settings.model, settings.batch.lanes),
      gpt_(gpt_options(), layout_, kernels),
      exchange_(make_exchange(group, layout_, kernels.device())),
      owned_(owned_ranges(exchange_.get(), layout_)),
      decaying_(to_element_ranges(layout_.decaying_ranges())),
      optimizer_(settings.optimizer,
                 owned_,
                 decaying_,
                 kernels.device(),
                 optim::backend_for(kernels.device())),
      step_(step_options(settings, ranks_), gpt_, optimizer_, exchange_.get()),
      snapshot_(layout_, owned_, kernels.device()) {}

model::GptOptions TrainingRun::gpt_options() const {
    return {settings_.model, settings_.run.precision, settings_.batch.micro_batch};
}

data::BatchLoaderOptions TrainingRun::loader_options() const {
    const std::int64_t sequences = settings_.batch.batch_tokens / settings_.model.block_size;
    return {.seed = settings_.run.seed,
            .sequences = sequences,
            .slice = {.first = rank_ * (sequences / ranks_), .count = sequences / ranks_},
            .vocab_size = settings_.model.vocab_size};
}

RunMemory TrainingRun::planned_memory() const {
    RunMemory memory = plan_run_memory(
        gpt_options(), layout_, step_options(settings_, ranks_), loader_options(), shape_);
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
            targets.push_back({.info = {tensor.name, tensor.dtype, tensor.shape},
                               .bytes = tensor.bytes,
                               .element_begin = static_cast<std::uint64_t>(tensor.element_begin),
                               .element_end = static_cast<std::uint64_t>(tensor.element_end)});
        }
    }
    // One rank restores all or nothing; of several, each takes its part and verifies that.
    return ranks_ == 1 ? reader.load(targets, checkpoint::Unrequested::kRefuse)
                       : reader.load(targets,
                                     checkpoint::Unrequested::kSkip,
                                     {.scope = checkpoint::ReadScope::kAskedChunks});
}

void TrainingRun::install() {
    snapshot_.restore(live());
    gpt_.refresh_compute_copy();
}

void TrainingRun::capture() {
    step_.wait_for_weights();
    snapshot_.capture(live());
}

base::Result<std::unique_ptr<data::BatchLoader>> TrainingRun::make_loader(
    const data::Cursor& cursor) const {
    return data::BatchLoader::open(*data_.train, windows_, loader_options(), cursor);
}

}  // namespace holdfast::cli
