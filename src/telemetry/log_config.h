// What a run tells while it goes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace holdfast::telemetry {

struct LogConfig {
    bool tensorboard = false;
    bool json = true;                  // metrics.jsonl
    std::int64_t sample_interval = 0;  // steps between generated samples; 0: off
    std::vector<std::string> sample_prompts;
};

}  // namespace holdfast::telemetry
