// What must hold between settings of different owners, and settings as canonical text.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "config/settings.h"

namespace holdfast::config {

// Everything wrong with the settings, one error (kInvalid, one line: keys, values, what would do)
// each; empty when all is well. Ranges come from the table of options, the rest from here:
// model.n_head divides model.n_embd; batch.batch_tokens is a whole number of micro-batches (and of
// lanes) of model.block_size tokens, else the nearest values that do are named; the schedule knows
// its horizon; warm-up and lowest rate fit; the disk alarms no earlier than it warns; data.train
// names something. What the program chooses itself (0, "auto") is checked where it is chosen.
std::vector<base::Error> find_problems(const Settings& settings);

// The first of them.
base::Status validate(const Settings& settings);

// Micro-batches a lane adds up in one step; settings must be valid and hold chosen micro_batch and
// lanes.
std::int64_t accumulation_steps(const Settings& settings);

// All settings as one JSON object, dotted keys in alphabetical order, no spaces: the same settings
// give the same bytes. For manifests and run.json.
std::string to_canonical_json(const Settings& settings);

// Back from it; keys that are missing keep their default (an older program wrote it). kInvalid as
// parse_config_text(); `place` names where the text came from.
base::Result<Settings> settings_from_json(std::string_view text, std::string_view place);

// XXH3-64 of the canonical JSON of all that makes the run what it is: the options whose change is
// kMathematics or kFixed. Over the settings as asked for, before automatic choices. (The identity
// of a run adds the fingerprint of its data, which `data` knows.)
std::uint64_t mathematics_checksum(const Settings& settings);

}  // namespace holdfast::config
