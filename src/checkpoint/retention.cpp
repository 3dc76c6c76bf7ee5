#include "checkpoint/retention.h"

#include <algorithm>
#include <limits>
#include <set>
#include <tuple>
#include <utility>

#include "checkpoint/ancestry.h"

namespace holdfast::checkpoint {

namespace {

using Order = std::pair<std::int64_t, std::int64_t>;  // lineage, step

constexpr std::int64_t kForEver = std::numeric_limits<std::int64_t>::max();
constexpr std::size_t kNewestProtected = 2;

Order order_of(const Entry& entry) {
    return {entry.manifest.identity.lineage, entry.manifest.identity.step};
}

}  // namespace

RetentionLimits RetentionLimits::of(const CheckpointConfig& config) {
    RetentionLimits limits;
    limits.keep_rolling = std::max<std::int64_t>(config.keep, 2);
    limits.keep_emergency = std::max<std::int64_t>(config.keep_emergency, 1);
    return limits;
}

std::int64_t limit_of(Pool pool, const RetentionLimits& limits) {
    switch (pool) {
        case Pool::kRolling:
            return std::max<std::int64_t>(limits.keep_rolling, 2);
        case Pool::kEmergency:
            return std::max<std::int64_t>(limits.keep_emergency, 1);
        case Pool::kBest:
            return std::max<std::int64_t>(limits.keep_best, 1);
        case Pool::kBackupRolling:
            return std::max<std::int64_t>(limits.keep_backup_rolling, 1);
        case Pool::kBackupBest:
            return std::max<std::int64_t>(limits.keep_backup_best, 1);
        case Pool::kEpoch:
        case Pool::kKeep:
            return kForEver;
    }
    return kForEver;
}

std::set<std::pair<std::int64_t, std::int64_t>> newest_points(const Catalog& catalog) {
    std::set<Order> orders;
    for (const Entry* entry : resume_candidates(catalog)) {
        orders.insert(order_of(*entry));
        if (orders.size() == kNewestProtected) {
            break;
        }
    }
    return orders;
}

std::vector<Deletion> plan_deletions(const Catalog& catalog, const RetentionLimits& limits) {
    const Entry* head = find_head(catalog);
    if (head == nullptr || !knows_current_line(catalog)) {
        return {};
    }
    const std::set<Order> newest = newest_points(catalog);
    std::vector<Deletion> plan;
    for (const Pool pool : kAllPools) {
        std::vector<const Entry*> members;
        for (const Entry& entry : catalog.entries) {
            if (entry.pool == pool && entry.usable()) {
                members.push_back(&entry);
            }
        }
        const auto count = static_cast<std::int64_t>(members.size());
        const std::int64_t surplus = count - std::min(count, limit_of(pool, limits));
        // Superseded first; the catalog is sorted oldest first already.
        std::stable_partition(members.begin(), members.end(), [&](const Entry* entry) {
            return is_superseded(*entry, *head);
        });
        // One that has to stay is no reason to delete a newer one in its place.
        members.resize(static_cast<std::size_t>(surplus));
        for (const Entry* entry : members) {
            const bool superseded = is_superseded(*entry, *head);
            // A second copy is spare, and what its original owes is the original's to join.
            const bool must_stay =
                !is_backup(pool) && ((!superseded && newest.contains(order_of(*entry))) ||
                                     !outstanding_pools(*entry, catalog).empty());
            if (must_stay) {
                continue;
            }
            plan.push_back(Deletion{pool, entry->name, entry->manifest.identity, superseded});
        }
    }
    std::stable_sort(plan.begin(), plan.end(), [](const Deletion& a, const Deletion& b) {
        return std::tuple(!a.superseded, a.identity) < std::tuple(!b.superseded, b.identity);
    });
    return plan;
}

}  // namespace holdfast::checkpoint
