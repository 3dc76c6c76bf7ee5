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

    // auto | on | off: ranks on nodes that do not see the directory (on: that are not rank 0's)
    // write and read through rank 0
    std::string gather = "auto";

    std::string on_disk_short = "warn";    // warn | refuse: no room for the whole run
    std::int64_t disk_warn_percent = 70;   // of the disk full; 0: off
    std::int64_t disk_alert_percent = 90;  // of the disk full; 0: off
};

}  // namespace holdfast::checkpoint
