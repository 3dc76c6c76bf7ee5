#include "train/save_schedule.h"

namespace holdfast::train {

using checkpoint::Pool;

void SaveSchedule::note_time(std::int64_t step, double now_seconds) {
    now_seconds_ = now_seconds;
    if (interval_.seconds > 0 && now_seconds - last_save_seconds_ >= interval_.seconds) {
        timed_step_ = step;
    }
}

std::vector<Pool> SaveSchedule::pools_due(std::int64_t step, bool epoch_ended) const {
    std::vector<Pool> pools;
    const bool at_interval =
        step == timed_step_ || (interval_.steps > 0 && step % interval_.steps == 0);
    const bool late = late_step_ >= 0 && step == late_step_ + 1;
    if (at_interval || late || step == steps_total_) {
        pools.push_back(Pool::kRolling);
    }
    if (epoch_ended) {
        pools.push_back(Pool::kEpoch);
    }
    return pools;
}

SaveDecision SaveSchedule::decide(std::int64_t step,
                                  const std::vector<Pool>& pools,
                                  double in_flight_seconds) {
    const bool was_late = late_step_ >= 0 && step == late_step_ + 1;
    late_step_ = -1;
    // A save that is put off or skipped counts too: the next is due an interval later.
    last_save_seconds_ = now_seconds_;
    const bool is_repeated_later = pools == std::vector{Pool::kRolling} && step != steps_total_;
    if (in_flight_seconds < kSavePatienceSeconds || !is_repeated_later) {
        return SaveDecision::kSave;
    }
    if (was_late) {
        ++skipped_;
        return SaveDecision::kSkip;
    }
    late_step_ = step;
    return SaveDecision::kNextStep;
}

}  // namespace holdfast::train
