// The last save of a process: of a run that ends, or is stopped and must be gone by a deadline.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "train/saver.h"

namespace holdfast::train {

// A save is begun before a deadline only when this times the longest one so far still fits.
inline constexpr double kSaveTimeMargin = 1.5;

// On the clock of base::monotonic_seconds().
struct LastSaveDeadlines {
    double writing_seconds = Saver::kForEver;  // a save that is being written is waited for until
    double retrying_seconds = 0;               // one that fails is tried again until
};

enum class LastSaveKind {
    kSaved,
    kNoTime,        // a save would not have been done in time and was not begun
    kFailed,        // tried until the deadline
    kStillWriting,  // at the deadline: whoever waits for the saver waits for the disk
};

struct LastSave {
    LastSaveKind kind = LastSaveKind::kSaved;
    std::string
        words;  // "step 57 is saved as emergency/...": what is, and which checkpoint is the newest
};

// "the newest checkpoint is rolling/step_00000250", or that there is none.
std::string newest_in_words(const Saver& saver);

// Sees to it that the state after `step` is on disk: by the save that is being written or tried
// again, if it is of this step, else by `save`, which hands it to the saver. Blocks until it is,
// or until a deadline.
LastSave save_last(Saver& saver,
                   std::int64_t step,
                   const LastSaveDeadlines& deadlines,
                   const std::function<void()>& save);

}  // namespace holdfast::train
