#include "checkpoint/space_relief.h"

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

#include "checkpoint/ancestry.h"

namespace holdfast::checkpoint {

namespace {

bool may_go(const Entry& entry,
            const Catalog& catalog,
            const std::set<std::pair<std::int64_t, std::int64_t>>& newest) {
    const Identity& identity = entry.manifest.identity;
    return (entry.pool == Pool::kRolling || entry.pool == Pool::kEmergency) && entry.usable() &&
           entry.shared_bytes == 0 && !newest.contains({identity.lineage, identity.step}) &&
           outstanding_pools(entry, catalog).empty();
}

}  // namespace

ReliefPlan plan_relief(const Catalog& catalog, std::uint64_t bytes_wanted) {
    std::vector<Relief> candidates;
    const Entry* head = find_head(catalog);
    const auto newest = newest_points(catalog);
    const bool knows_line = knows_current_line(catalog);
    for (const Entry& entry : catalog.entries) {
        if (may_go(entry, catalog, newest) && knows_line) {
            candidates.push_back(
                {Deletion{
                     entry.pool, entry.name, entry.manifest.identity, is_superseded(entry, *head)},
                 entry.bytes});
        }
    }
    std::stable_sort(
        candidates.begin(), candidates.end(), [](const Relief& left, const Relief& right) {
            const auto order = [](const Deletion& deletion) {
                // Among the superseded the pool says nothing: nobody resumes from either.
                const bool is_emergency = !deletion.superseded && deletion.pool == Pool::kEmergency;
                return std::tuple(!deletion.superseded, is_emergency, deletion.identity);
            };
            return order(left.deletion) < order(right.deletion);
        });
    ReliefPlan plan;
    for (Relief& relief : candidates) {
        if (plan.bytes >= bytes_wanted) {
            break;
        }
        plan.bytes += relief.bytes;
        plan.reliefs.push_back(std::move(relief));
    }
    plan.is_enough = plan.bytes >= bytes_wanted;
    return plan;
}

}  // namespace holdfast::checkpoint
