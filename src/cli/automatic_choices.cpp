#include "cli/automatic_choices.h"

#include <algorithm>
#include <thread>

#include <ATen/Context.h>
#include <fmt/format.h>

#include "base/check.h"
#include "cli/command.h"

namespace holdfast::cli {

namespace {

// Tokens of a micro-batch that keep a CPU's matrix products large and its caches useful; a GPU
// wants more.
constexpr std::int64_t kMicroBatchTokensCpu = 4096;
constexpr std::int64_t kMicroBatchTokensGpu = 16384;

std::int64_t largest_divisor_up_to(std::int64_t value, std::int64_t limit) {
    for (std::int64_t divisor = std::max<std::int64_t>(1, std::min(value, limit)); divisor > 1;
         --divisor) {
        if (value % divisor == 0) {
            return divisor;
        }
    }
    return 1;
}

}  // namespace

std::int64_t steps_of_epochs(const config::Settings& settings, std::int64_t windows_per_epoch) {
    if (settings.train.max_epochs == 0) {
        return 0;
    }
    const std::int64_t sequences = settings.batch.batch_tokens / settings.model.block_size;
    return (settings.train.max_epochs * windows_per_epoch + sequences - 1) / sequences;
}

std::int64_t steps_total(const config::Settings& settings, std::int64_t windows_per_epoch) {
    const std::int64_t by_epochs = steps_of_epochs(settings, windows_per_epoch);
    const std::int64_t by_steps = settings.train.max_steps;
    if (by_epochs == 0 && by_steps == 0) {
        fail_usage("nothing says when the run ends: set train.max_steps or train.max_epochs");
    }
    if (by_epochs == 0 || by_steps == 0) {
        return std::max(by_epochs, by_steps);
    }
    return std::min(by_epochs, by_steps);
}

void choose_automatics(config::ResolvedSettings& resolved,
                       std::int64_t vocab_size,
                       std::int64_t windows_per_epoch,
                       at::Device device,
                       const dist::RankPlace& place) {
    config::Settings& settings = resolved.settings;
    const auto choose = [&](std::string_view key, std::int64_t value) {
        config::set_chosen(resolved, key, fmt::format("{}", value));
    };
    if (settings.model.vocab_size == 0) {
        choose("model.vocab_size", vocab_size);
    }
    if (settings.run.threads == 0) {
        const std::int64_t cores = std::thread::hardware_concurrency();
        choose("threads", std::max<std::int64_t>(1, cores / place.local_size));
    }
    if (settings.batch.lanes == 0) {
        choose("batch.lanes", place.size);
    }
    const std::int64_t sequences =
        settings.batch.batch_tokens / settings.model.block_size / settings.batch.lanes;
    if (settings.batch.micro_batch == 0) {
        const std::int64_t tokens = device.is_cpu() ? kMicroBatchTokensCpu : kMicroBatchTokensGpu;
        choose("batch.micro_batch",
               largest_divisor_up_to(sequences, tokens / settings.model.block_size));
    }
    if (settings.schedule.steps == 0) {
        choose("schedule.steps", steps_total(settings, windows_per_epoch));
    }
    if (settings.checkpoint.dir.empty()) {
        config::set_chosen(resolved, "checkpoint.dir", "checkpoints/" + settings.run.name);
    }
}

}  // namespace holdfast::cli
