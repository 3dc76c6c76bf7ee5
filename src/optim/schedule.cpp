#include "optim/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/check.h"

namespace holdfast::optim {
namespace {

base::Error invalid(std::string what) {
    return {base::ErrorKind::kInvalid, std::move(what), 0};
}

// The last step that kWsd takes at the peak.
std::int64_t stable_until(const ScheduleConfig& config) {
    const std::int64_t decay_steps = std::max<std::int64_t>(1, config.steps / 5);
    return std::max(config.warmup_steps, config.steps - decay_steps);
}

// How much of the way from minimum to peak the rate stands at; between the warm-up and the horizon.
double height_at(const ScheduleConfig& config, std::int64_t step) {
    const auto from = [&](std::int64_t start) {
        return static_cast<double>(config.steps - step) / static_cast<double>(config.steps - start);
    };
    switch (config.kind) {
        case ScheduleKind::kCosine:
            return (1.0 + std::cos(std::numbers::pi * (1.0 - from(config.warmup_steps)))) / 2.0;
        case ScheduleKind::kLinear:
            return from(config.warmup_steps);
        case ScheduleKind::kWsd:
            return step <= stable_until(config) ? 1.0 : from(stable_until(config));
        case ScheduleKind::kConstant:
            return 1.0;
    }
    HF_CHECK(false, "schedule kind {}", static_cast<int>(config.kind));
}

}  // namespace

base::Status ScheduleConfig::validate(double peak_learning_rate) const {
    if (warmup_steps < 0) {
        return invalid(
            fmt::format("schedule.warmup_steps is {}; it must be 0 or more", warmup_steps));
    }
    if (!(min_learning_rate >= 0.0 && min_learning_rate <= peak_learning_rate)) {
        return invalid(
            fmt::format("schedule.min_learning_rate is {}; it must lie between 0 and "
                        "optimizer.learning_rate, {}",
                        min_learning_rate,
                        peak_learning_rate));
    }
    if (kind == ScheduleKind::kConstant) {
        return {};
    }
    if (steps < 1) {
        return invalid(
            fmt::format("schedule.steps is {}; this kind of schedule needs a horizon: set it or "
                        "train.max_steps, or choose schedule.kind constant",
                        steps));
    }
    if (warmup_steps > steps) {
        return invalid(
            fmt::format("schedule.warmup_steps is {} and schedule.steps {}; the warm-up must end "
                        "within the horizon",
                        warmup_steps,
                        steps));
    }
    return {};
}

double learning_rate_at(const ScheduleConfig& config,
                        double peak_learning_rate,
                        std::int64_t step) {
    HF_CHECK(step >= 1, "steps count from 1, asked for {}", step);
    if (step <= config.warmup_steps) {
        return peak_learning_rate * static_cast<double>(step) /
               static_cast<double>(config.warmup_steps);
    }
    if (config.kind == ScheduleKind::kConstant) {
        return peak_learning_rate;
    }
    if (step >= config.steps) {
        return config.min_learning_rate;
    }
    return config.min_learning_rate +
           (peak_learning_rate - config.min_learning_rate) * height_at(config, step);
}

}  // namespace holdfast::optim
