// What a run does, apart from what its parts own: how long, how much at a time, on what.
#pragma once

#include <cstdint>
#include <string>

#include "model/gpt_config.h"

namespace holdfast::train {

enum class BadLossPolicy {
    kStop,  // emergency save, then exit code 1
    kSkip,  // refuse the update, count it, go on
};

struct RunConfig {
    std::string name = "run";
    std::uint64_t seed = 1337;
    std::string device = "auto";  // auto | cpu | cuda
    model::Precision precision = model::Precision::kBf16;
    std::int64_t threads = 0;  // of a rank; 0: all cores divided by the ranks of this machine
    bool deterministic = true;
    std::string phase = "base";  // base | mid | sft
    std::string
        init_from;  // a checkpoint or exported model to take weights from; empty: from scratch
    std::string notes;
};

struct BatchConfig {
    std::int64_t batch_tokens = 16384;  // of one optimizer step, over all ranks
    std::int64_t micro_batch = 0;       // sequences at a time; 0: chosen at creation
    std::int64_t lanes = 0;             // 0: the rank count at creation
};

struct TrainConfig {
    std::int64_t max_steps = 0;         // 0: no limit by steps
    std::int64_t max_epochs = 0;        // 0: no limit by epochs
    double time_limit_seconds = 0;      // 0: none
    double stop_deadline_seconds = 30;  // from a signal to the end
    std::int64_t eval_interval = 250;   // steps; 0: only at the end
    std::int64_t eval_tokens = 0;       // of the val set a time; 0: all of it
    BadLossPolicy on_bad_loss = BadLossPolicy::kStop;
};

}  // namespace holdfast::train
