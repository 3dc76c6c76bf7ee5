// Whether a started trainer found what had been promised (crash_exploration.h lists it).
#pragma once

#include <set>
#include <string>

#include "base/result.h"
#include "fs/simulated_file_system.h"
#include "recorded_life.h"
#include "tiny_trainer.h"

namespace holdfast::checkpoint {

// What is wrong, one line; empty: nothing.
std::string judge_start(fs::SimulatedFileSystem& disk,
                        const TinyTrainer& trainer,
                        const base::Status& started,
                        const Expectation& expected);

// The same of one more save with an owed pool and a pass of deletions, and of the start after it.
// `unread`: as Expectation::unread.
std::string judge_next_save(fs::SimulatedFileSystem& disk,
                            const RetentionLimits& limits,
                            const std::set<std::string>& unread);

}  // namespace holdfast::checkpoint
