#include "train/evaluation.h"

#include "train/host_tokens.h"

namespace holdfast::train {

using base::Result;
using base::Status;

Result<std::optional<double>> evaluate_set(model::Gpt& gpt,
                                           const data::ValidationSet& set,
                                           const std::function<bool(std::int64_t)>& before_unit) {
    data::EvaluationUnit unit;
    double sum_nats = 0.0;
    for (std::int64_t e = 0; e < set.unit_count(); ++e) {
        if (before_unit(e)) {
            return std::optional<double>();
        }
        const Status read = set.read_unit(e, unit);
        if (!read.ok()) {
            return read.error();
        }
        sum_nats += gpt.evaluate(host_tokens(unit.tokens_ST, unit.sequences),
                                 host_tokens(unit.targets_ST, unit.sequences));
    }
    return std::optional(sum_nats / static_cast<double>(set.target_count()));
}

Result<std::optional<std::vector<telemetry::ValLoss>>> evaluate_sets(
    model::Gpt& gpt, const std::vector<NamedValidationSet>& sets, const UnitCallback& before_unit) {
    std::int64_t total_units = 0;
    for (const NamedValidationSet& set : sets) {
        total_units += set.windows->unit_count();
    }
    std::vector<telemetry::ValLoss> losses;
    std::int64_t units_before = 0;
    for (const NamedValidationSet& set : sets) {
        const Result<std::optional<double>> loss =
            evaluate_set(gpt, *set.windows, [&](std::int64_t e) {
                return before_unit(units_before + e, total_units);
            });
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
