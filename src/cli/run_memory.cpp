#include "cli/run_memory.h"

#include <fmt/format.h>

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

RunMemory plan_run_memory(const model::GptOptions& gpt,
                          const model::ArenaLayout& layout,
                          const train::TrainStepOptions& step,
                          const data::BatchLoaderOptions& loader) {
    const model::GptBytes model = model::Gpt::bytes_needed(gpt, layout);
    const std::int64_t elements = layout.element_count();
    const std::int64_t owned = elements / step.ranks;
    return {
        .weights_bytes = model.master + model.compute_copy,
        .gradients_bytes = train::TrainStep::bytes_needed(step, elements),
        .optimizer_bytes = optim::bytes_needed(elements, owned),
        .activations_bytes = model.activations + model.head + model.attention + model.products,
        .saving_bytes = state::Snapshot::bytes_needed(layout, owned) +
                        static_cast<std::int64_t>(checkpoint::TransferBuffers::kBytes),
        .batches_bytes = data::BatchLoader::bytes_needed(loader, gpt.config.block_size),
    };
}

}  // namespace holdfast::cli
