#include "cli/run_memory.h"

#include "checkpoint/transfer_buffers.h"
#include "optim/optimizer_bytes.h"
#include "state/snapshot.h"

namespace holdfast::cli {

RunMemory plan_run_memory(const model::GptOptions& gpt,
                          const model::ArenaLayout& layout,
                          const train::TrainStepOptions& step,
                          const data::BatchLoaderOptions& loader) {
    const model::GptBytes model = model::Gpt::bytes_needed(gpt, layout);
    const std::int64_t elements = layout.element_count();
    return {
        .weights_bytes = model.master + model.compute_copy,
        .gradients_bytes = train::TrainStep::bytes_needed(step, elements),
        .optimizer_bytes = optim::bytes_needed(elements, elements),
        .activations_bytes = model.activations + model.head + model.attention + model.products,
        .saving_bytes = state::Snapshot::bytes_needed(layout) +
                        static_cast<std::int64_t>(checkpoint::TransferBuffers::kBytes),
        .batches_bytes = data::BatchLoader::bytes_needed(loader, gpt.config.block_size),
    };
}

}  // namespace holdfast::cli
