// Which entries go: a pure plan. Executing it is checkpoint/reclaim's.
//
// Each pool by itself: beyond its limit, superseded entries go first, then by (lineage, step),
// oldest first, never by a clock; as many as the limit says stay, whatever else must. Never: the
// two newest usable entries of the current line of descent (in whatever pool but the backups), an
// entry that still owes a pool, an entry that is damaged, unreadable or of another run, anything in
// `epoch` and `keep`. A second copy is spare: of a backup pool only the newest is sure to stay.
// Nothing at all while it is not certain which line is the current one: a pool could not be listed,
// or an entry of a later lineage than any that can be read. Each side of a store (kRunPools,
// kBackupPools) is planned from a catalog of its own pools. Invariants R1-R4 of
// docs/checkpoint-format.md.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "checkpoint/catalog.h"
#include "checkpoint/checkpoint_config.h"

namespace holdfast::checkpoint {

struct RetentionLimits {
    std::int64_t keep_rolling = 10;  // >= 2
    std::int64_t keep_emergency = 10;
    std::int64_t keep_best = 2;  // the current and the previous
    std::int64_t keep_backup_rolling = 1;
    std::int64_t keep_backup_best = 1;

    // From the config; values below the floor are raised to it (2 rolling, 1 emergency).
    static RetentionLimits of(const CheckpointConfig& config);
};

// What limits say of a pool, raised to its floor; the largest number there is for `epoch` and
// `keep`, which are kept for ever.
std::int64_t limit_of(Pool pool, const RetentionLimits& limits);

// (lineage, step) of the two newest usable points of the current line, whatever pools hold them:
// what no plan may delete.
std::set<std::pair<std::int64_t, std::int64_t>> newest_points(const Catalog& catalog);

struct Deletion {
    Pool pool = Pool::kRolling;
    std::string name;
    Identity identity;
    bool superseded = false;
};

// In the order in which they must be carried out.
std::vector<Deletion> plan_deletions(const Catalog& catalog, const RetentionLimits& limits);

}  // namespace holdfast::checkpoint
