// The memory a rank plans for, part by part: the formulas of docs/performance.md and
// docs/distributed.md, summed from what
// each owner says it needs. What libtorch, its libraries and the program take for themselves is not
// in it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/batch_loader.h"
#include "dist/communicator.h"
#include "dist/gradient_exchange.h"
#include "model/arena.h"
#include "model/gpt.h"
#include "train/train_step.h"

namespace holdfast::cli {

struct RunMemory {
    // On the device.
    std::int64_t weights_bytes = 0;  // with the copy that bf16 computes with
    std::int64_t gradients_bytes = 0;
    std::int64_t exchange_bytes = 0;  // of several ranks: gradients and weights on their way
    std::int64_t optimizer_bytes = 0;
    std::int64_t activations_bytes = 0;  // with logits, attention and scratch
    // On the host; of a CPU run the same memory.
    std::int64_t saving_bytes = 0;  // snapshot, transfer buffers of each writer
    std::int64_t batches_bytes = 0;

    [[nodiscard]] std::int64_t device_bytes() const {
        return weights_bytes + gradients_bytes + exchange_bytes + optimizer_bytes +
               activations_bytes;
    }
    [[nodiscard]] std::int64_t host_bytes() const { return saving_bytes + batches_bytes; }
};

// "93.1 MiB were planned, 40.0 MiB of them activations of batch.micro_batch = 4".
std::string in_words(const RunMemory& memory, std::int64_t micro_batch);

// Of one rank. `shape`: of all ranks that share the run.
RunMemory plan_run_memory(const model::GptOptions& gpt,
                          const model::ArenaLayout& layout,
                          const train::TrainStepOptions& step,
                          const data::BatchLoaderOptions& loader,
                          const dist::GroupShape& shape = {});

// One range a bucket, as the exchange wants them.
std::vector<dist::ArenaRange> exchange_buckets(const model::ArenaLayout& layout);

}  // namespace holdfast::cli
