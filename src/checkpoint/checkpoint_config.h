// When checkpoints are saved and how many are kept.
#pragma once

#include <cstdint>
#include <string>

#include "checkpoint/save_interval.h"

namespace holdfast::checkpoint {

struct CheckpointConfig {
    std::string dir;         // the run directory; empty: checkpoints/<name>
    SaveInterval interval;   // between rolling saves
    std::int64_t keep = 10;  // newest rolling checkpoints kept, at least 2
    std::int64_t keep_emergency = 10;
    std::int64_t keep_every =
        0;  // steps; the first save at or after each multiple is kept for ever; 0: off
    std::string backup = "auto";  // auto | on | off: real second copies
    std::string backup_dir;       // empty: inside the run directory
};

}  // namespace holdfast::checkpoint
