#include "train/evaluation.h"

#include <algorithm>

#include "train/host_tokens.h"

namespace holdfast::train {

using base::Result;
using base::Status;

namespace {

// The sums of the units [first, first + ranks) that there are, in order.
Result<std::vector<double>> evaluate_round(model::Gpt& gpt,
                                           const data::ValidationSet& set,
                                           std::int64_t set_index,
                                           std::int64_t first,
                                           data::EvaluationUnit& unit,
                                           RankLeader* leader) {
    if (leader != nullptr) {
        leader->order_evaluation(set_index, first);
    }
    const Result<double> mine = unit_nats(gpt, set, first, unit);
    if (!mine.ok()) {
        return mine.error();
    }
    if (leader == nullptr) {
        return std::vector<double>{mine.value()};
    }
    std::vector<double> sums = leader->gather_units(mine.value());
    sums.resize(static_cast<std::size_t>(
        std::min<std::int64_t>(static_cast<std::int64_t>(sums.size()), set.unit_count() - first)));
    return sums;
}

Result<std::optional<double>> evaluate_one(model::Gpt& gpt,
                                           const data::ValidationSet& set,
                                           std::int64_t set_index,
                                           const std::function<bool(std::int64_t)>& before_round,
                                           RankLeader* leader) {
    data::EvaluationUnit unit;
    double sum_nats = 0.0;
    const std::int64_t ranks = leader == nullptr ? 1 : leader->ranks();
    for (std::int64_t e = 0; e < set.unit_count(); e += ranks) {
        if (before_round(e)) {
            return std::optional<double>();
        }
        const Result<std::vector<double>> sums =
            evaluate_round(gpt, set, set_index, e, unit, leader);
        if (!sums.ok()) {
            return sums.error();
        }
        for (const double sum : sums.value()) {
            sum_nats += sum;
        }
    }
    return std::optional(sum_nats / static_cast<double>(set.target_count()));
}

}  // namespace

Result<double> unit_nats(model::Gpt& gpt,
                         const data::ValidationSet& set,
                         std::int64_t e,
                         data::EvaluationUnit& unit) {
    const Status read = set.read_unit(e, unit);
    if (!read.ok()) {
        return read.error();
    }
    return gpt.evaluate(host_tokens(unit.tokens_ST, unit.sequences),
                        host_tokens(unit.targets_ST, unit.sequences));
}

Result<std::optional<double>> evaluate_set(model::Gpt& gpt,
                                           const data::ValidationSet& set,
                                           const std::function<bool(std::int64_t)>& before_unit) {
    return evaluate_one(gpt, set, 0, before_unit, nullptr);
}

Result<std::optional<std::vector<telemetry::ValLoss>>> evaluate_sets(
    model::Gpt& gpt,
    const std::vector<NamedValidationSet>& sets,
    const UnitCallback& before_round,
    RankLeader* leader) {
    std::int64_t total_units = 0;
    for (const NamedValidationSet& set : sets) {
        total_units += set.windows->unit_count();
    }
    std::vector<telemetry::ValLoss> losses;
    std::int64_t units_before = 0;
    for (std::size_t i = 0; i < sets.size(); ++i) {
        const NamedValidationSet& set = sets.at(i);
        const Result<std::optional<double>> loss = evaluate_one(
            gpt,
            *set.windows,
            static_cast<std::int64_t>(i),
            [&](std::int64_t e) { return before_round(units_before + e, total_units); },
            leader);
        if (!loss.ok()) {
            return loss.error();
        }
        if (!loss.value()) {
            return std::optional<std::vector<telemetry::ValLoss>>();
        }
        losses.push_back({set.name, *loss.value()});
        units_before += set.windows->unit_count();
    }
    return std::optional(std::move(losses));
}

}  // namespace holdfast::train
