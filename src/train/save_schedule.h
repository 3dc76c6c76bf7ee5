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
#include "checkpoint/save_interval.h"

namespace holdfast::train {

// A save younger than this is waited for.
inline constexpr double kSavePatienceSeconds = 1.0;

enum class SaveDecision { kSave, kNextStep, kSkip };

class SaveSchedule {
public:
    // An interval of 0: only the last step and the ends of epochs. `begin_seconds`: when the run
    // began, on the clock of note_time().
    SaveSchedule(const checkpoint::SaveInterval& interval,
                 std::int64_t steps_total,
                 double begin_seconds)
        : interval_(interval), steps_total_(steps_total), last_save_seconds_(begin_seconds) {}

    // With an interval of time: makes the save of `step` due when the interval is over since the
    // last one. To be asked once a step, before pools_due(); the time stays that of the step.
    void note_time(std::int64_t step, double now_seconds);

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
    checkpoint::SaveInterval interval_;
    std::int64_t steps_total_;
    double last_save_seconds_;
    double now_seconds_ = 0;
    std::int64_t timed_step_ = -1;  // a save is due here because the time is over
    std::int64_t late_step_ = -1;   // a rolling save was due here and waits for the step after
    std::int64_t skipped_ = 0;
};

}  // namespace holdfast::train
