// Which steps are saved, into which pools, and what happens when the disk is still busy.
//
// A rolling save that comes due while the one before is still being written waits until the step
// after; if the disk is busy even then, it is skipped and counted, never queued, so that the step
// loop waits for no slow disk (promise P5). A save that began a moment ago is waited for: small
// runs, whose steps are shorter than any write, then save what they were asked to. The end of an
// epoch and the last step are not repeated by a later save: they wait for the disk.
//
// A value; one thread.
#pragma once

#include <cstdint>
#include <vector>

#include "checkpoint/checkpoint_name.h"

namespace holdfast::train {

// A save younger than this is waited for.
inline constexpr double kSavePatienceSeconds = 1.0;

enum class SaveDecision { kSave, kNextStep, kSkip };

class SaveSchedule {
public:
    // interval_steps 0: only the last step and the ends of epochs.
    SaveSchedule(std::int64_t interval_steps, std::int64_t steps_total)
        : interval_steps_(interval_steps), steps_total_(steps_total) {}

    // The pools that the state after `step` belongs to, the first is the one to save into. The pool
    // `keep` is not among them: which save it takes depends on what the store holds.
    [[nodiscard]] std::vector<checkpoint::Pool> pools_due(std::int64_t step,
                                                          bool epoch_ended) const;

    // What to do with the pools due (not empty) at `step`. `in_flight_seconds`: how long the save
    // before has been being written, 0 when it is done. To be asked once a step.
    SaveDecision decide(std::int64_t step,
                        const std::vector<checkpoint::Pool>& pools,
                        double in_flight_seconds);

    [[nodiscard]] std::int64_t skipped() const { return skipped_; }

private:
    std::int64_t interval_steps_;
    std::int64_t steps_total_;
    std::int64_t late_step_ = -1;  // a rolling save was due here and waits for the step after
    std::int64_t skipped_ = 0;
};

}  // namespace holdfast::train
