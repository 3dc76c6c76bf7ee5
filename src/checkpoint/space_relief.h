// What may go when the disk is full: a pure plan of deletions beyond what the limits ask for.
//
// Only entries of the run's disk whose blocks nothing else holds, since deleting another frees
// nothing. Superseded ones first (rolling or emergency, by lineage and step), then the oldest of
// `rolling`, then the oldest of `emergency`. Never: the two newest usable points of the current
// line, an entry that still owes a pool, one that is damaged, unreadable or of another run,
// anything in `epoch`, `keep`, `best` and the backups; nothing at all while it is not certain which
// line is the current one (ancestry.h). Invariants R1 and R4 of
// docs/checkpoint-format.md. RunDirectory::make_room() carries it out.
#pragma once

#include <cstdint>
#include <vector>

#include "checkpoint/catalog.h"
#include "checkpoint/retention.h"

namespace holdfast::checkpoint {

struct Relief {
    Deletion deletion;
    std::uint64_t bytes = 0;  // what it frees
};

struct ReliefPlan {
    std::vector<Relief> reliefs;  // in the order in which they must be carried out
    std::uint64_t bytes = 0;      // of all of them
    bool is_enough = false;       // `bytes` is what was wanted, or more
};

// The shortest beginning of that order which frees `bytes_wanted`; all of it where all is not
// enough.
ReliefPlan plan_relief(const Catalog& catalog, std::uint64_t bytes_wanted);

}  // namespace holdfast::checkpoint
