// Validation loss: the same bits whoever computes which part.
//
// A set is cut into fixed units (data/validation_set.h). The model gives the sum of nats of a unit
// in fp64; the sums are added in the order of the units. With several ranks, unit e is computed by
// rank e mod ranks, a round of one unit a rank at a time. A stop request is looked for before each
// round.
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
#include "train/rank_leader.h"

namespace holdfast::train {

struct NamedValidationSet {
    std::string name;  // empty for the first
    std::unique_ptr<data::ValidationSet> windows;
};

// Called before each round with (units done, units of all sets); true asks to stop.
using UnitCallback = std::function<bool(std::int64_t, std::int64_t)>;

// The mean loss over each set, first set first; nothing when the callback asked to stop. kCorrupt
// when a shard changed under the run. Blocks until done. `leader` tells the other ranks of their
// part; null: there are none.
base::Result<std::optional<std::vector<telemetry::ValLoss>>> evaluate_sets(
    model::Gpt& gpt,
    const std::vector<NamedValidationSet>& sets,
    const UnitCallback& before_round,
    RankLeader* leader = nullptr);

// The mean loss of one set, by this process alone.
base::Result<std::optional<double>> evaluate_set(
    model::Gpt& gpt,
    const data::ValidationSet& set,
    const std::function<bool(std::int64_t)>& before_unit);

// The sum of nats of unit `e`, read into `unit`.
base::Result<double> unit_nats(model::Gpt& gpt,
                               const data::ValidationSet& set,
                               std::int64_t e,
                               data::EvaluationUnit& unit);

}  // namespace holdfast::train
