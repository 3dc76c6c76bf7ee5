#include "cli/run_memory.h"

#include <fmt/format.h>

#include "base/check.h"
#include "base/words.h"
#include "checkpoint/transfer_buffers.h"
#include "optim/optimizer_bytes.h"
#include "state/snapshot.h"

namespace holdfast::cli {

std::string in_words(const RunMemory& memory, std::int64_t micro_batch) {
    const auto words = [](std::int64_t bytes) {
        return base::bytes_in_words(static_cast<std::uint64_t>(bytes));
    };
    return fmt::format("{} were planned, {} of them activations of batch.micro_batch = {}",
                       words(memory.device_bytes() + memory.host_bytes()),
                       words(memory.activations_bytes),
                       micro_batch);
}

std::vector<dist::ArenaRange> exchange_buckets(const model::ArenaLayout& layout) {
    std::vector<dist::ArenaRange> buckets;
    for (const model::ArenaBucket& bucket : layout.buckets()) {
        buckets.push_back({bucket.begin, bucket.end});
    }
    return buckets;
}

RunMemory plan_run_memory(const model::GptOptions& gpt,
                          const model::ArenaLayout& layout,
                          const train::TrainStepOptions& step,
                          const data::BatchLoaderOptions& loader,
                          const dist::GroupShape& shape) {
    HF_CHECK(shape.size == step.ranks, "{} and {} ranks", shape.size, step.ranks);
    const model::GptBytes model = model::Gpt::bytes_needed(gpt, layout);
    const std::int64_t elements = layout.element_count();
    const std::int64_t owned = elements / step.ranks;
    const std::int64_t weight_bytes = gpt.precision == model::Precision::kFp32 ? 4 : 2;
    return {
        .weights_bytes = model.master + model.compute_copy,
        .gradients_bytes = train::TrainStep::bytes_needed(step, elements),
        .exchange_bytes =
            shape.size == 1 ? 0
                            : dist::GradientExchange::bytes_needed(
                                  exchange_buckets(layout), dist::stage_sizes(shape), weight_bytes),
        .optimizer_bytes = optim::bytes_needed(elements, owned),
        .activations_bytes = model.activations + model.head + model.attention + model.products,
        .saving_bytes = state::Snapshot::bytes_needed(layout, owned) +
                        static_cast<std::int64_t>(checkpoint::TransferBuffers::kBytes),
        .batches_bytes = data::BatchLoader::bytes_needed(loader, gpt.config.block_size),
    };
}

}  // namespace holdfast::cli
