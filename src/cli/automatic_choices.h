// What a run leaves to the program: chosen once, at creation, from the settings and the machine,
// and stored.
#pragma once

#include <cstdint>

#include <c10/core/Device.h>

#include "config/resolved_settings.h"
#include "dist/rank_place.h"

namespace holdfast::cli {

// Steps after which max_epochs epochs of `windows_per_epoch` windows are complete; 0 when there is
// no limit by epochs.
std::int64_t steps_of_epochs(const config::Settings& settings, std::int64_t windows_per_epoch);

// Where the run ends: the smaller of max_steps and the steps of max_epochs. Throws base::Failure
// when neither is set.
std::int64_t steps_total(const config::Settings& settings, std::int64_t windows_per_epoch);

// Fills vocab_size, threads, lanes, micro_batch, schedule.steps and checkpoint.dir where they were
// left open. Needs the vocabulary and the windows of the data; settings must be valid otherwise.
// `place`: as many lanes as ranks, so that any of them can be left out later, and as many threads a
// rank as its share of this machine has.
void choose_automatics(config::ResolvedSettings& resolved,
                       std::int64_t vocab_size,
                       std::int64_t windows_per_epoch,
                       at::Device device,
                       const dist::RankPlace& place);

}  // namespace holdfast::cli
