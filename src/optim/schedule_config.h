// The shape of the learning rate over a run.
#pragma once

#include <cstdint>

#include "base/result.h"

namespace holdfast::optim {

enum class ScheduleKind {
    kCosine,
    kLinear,
    kConstant,
    kWsd,  // warm-up, stable, decay: the last fifth falls linearly
};

struct ScheduleConfig {
    ScheduleKind kind = ScheduleKind::kCosine;
    std::int64_t steps = 0;  // the horizon; 0: train.max_steps at creation
    std::int64_t warmup_steps = 0;
    double min_learning_rate = 0.0;

    // kInvalid with the key, the value and what would do. `peak_learning_rate` is
    // optimizer.learning_rate. `steps` must have been resolved (not 0), except for kConstant.
    [[nodiscard]] base::Status validate(double peak_learning_rate) const;
};

}  // namespace holdfast::optim
