// The learning rate as a pure function of the step: nothing is counted, so nothing can be counted
// twice or lost over a resume.
//
// With s the step being taken (1 is the first of a run), P the peak, M the minimum, W the warm-up
// steps and H the horizon (schedule.steps):
//
//   warm-up, every kind, s <= W:     P * s / W                      (step W is taken at the peak)
//   kCosine,   W < s < H:            M + (P - M) * (1 + cos(pi * (s - W) / (H - W))) / 2
//   kLinear,   W < s < H:            M + (P - M) * (H - s) / (H - W)
//   kWsd,      W < s <= D:           P, with D = max(W, H - max(1, H / 5)), H / 5 rounded down
//              D < s < H:            M + (P - M) * (H - s) / (H - D)
//   kConstant, W < s:                P, for ever: it never falls, so H and M do not matter
//   the others, s >= H and s > W:    M, for ever
//
// The last step of the horizon is thus taken at M, and a run that goes on past it stays there.
// Evaluated in fp64. Cosine: Loshchilov and Hutter, "SGDR", arXiv:1608.03983; warm-up, stable,
// decay: Hu et al., "MiniCPM", arXiv:2404.06395.
#pragma once

#include <cstdint>

#include "optim/schedule_config.h"

namespace holdfast::optim {

// The learning rate of `step`, which is 1 or more. `config` has passed
// validate(peak_learning_rate).
double learning_rate_at(const ScheduleConfig& config, double peak_learning_rate, std::int64_t step);

}  // namespace holdfast::optim
