// Whether the disk has room for the checkpoints of a whole run: told at its start, with what
// becomes of second copies.
//
// Free functions of the command's thread. They block on the disk.
#pragma once

#include <cstdint>

#include "checkpoint/run_directory.h"
#include "checkpoint/space_need.h"
#include "config/settings.h"
#include "state/snapshot.h"

namespace holdfast::cli {

// From the step a run stands at to its end.
struct RunLength {
    std::int64_t from_step = 0;
    std::int64_t total_steps = 0;
    std::int64_t windows_per_epoch = 0;
};

// The most saves that may still come, by the intervals of the settings.
checkpoint::SavesToCome saves_to_come(const config::Settings& settings, const RunLength& length);

// The files of one checkpoint of these tensors.
std::uint64_t checkpoint_bytes(state::Snapshot& snapshot);

// Whether second copies are to be made: asked for, or automatic and there is room for them. Tells
// nothing. `bytes_each` is checkpoint_bytes().
bool keeps_second_copies(const checkpoint::RunDirectory& run,
                         const config::Settings& settings,
                         const RunLength& length,
                         std::uint64_t bytes_each);

// Logs the lines `disk` and `backup`. A disk that is short is a warning with what would fit, or,
// where checkpoint.on_disk_short refuses, the end of the program: a base::Failure (1). Answers
// keeps_second_copies().
bool check_disk(const checkpoint::RunDirectory& run,
                const config::Settings& settings,
                const RunLength& length,
                std::uint64_t bytes_each);

}  // namespace holdfast::cli
