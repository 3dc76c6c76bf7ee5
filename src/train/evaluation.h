// Validation loss: the same bits whoever computes which part.
//
// A set is cut into fixed units (data/validation_set.h). The model gives the sum of nats of a unit
// in fp64; the sums are added in the order of the units. A stop request is looked for before each
// unit.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "data/validation_set.h"
#include "model/gpt.h"
#include "telemetry/step_metrics.h"

namespace holdfast::train {

struct NamedValidationSet {
    std::string name;  // empty for the first
    std::unique_ptr<data::ValidationSet> windows;
};

// Called before each unit with (units done, units of all sets); true asks to stop.
using UnitCallback = std::function<bool(std::int64_t, std::int64_t)>;

// The mean loss over each set, first set first; nothing when the callback asked to stop. kCorrupt
// when a shard changed under the run. Blocks until done.
base::Result<std::optional<std::vector<telemetry::ValLoss>>> evaluate_sets(
    model::Gpt& gpt, const std::vector<NamedValidationSet>& sets, const UnitCallback& before_unit);

// The mean loss of one set, likewise.
base::Result<std::optional<double>> evaluate_set(
    model::Gpt& gpt,
    const data::ValidationSet& set,
    const std::function<bool(std::int64_t)>& before_unit);

}  // namespace holdfast::train
