// What cleaning a run by hand removes, and what it keeps and why: a pure plan.
//
// Kept: the newest checkpoint of the current line that was verified byte by byte, the best one
// likewise, second copies not older than the newest, a damaged one that its second copy can repair,
// `epoch` and `keep` (unless `all`), what still owes a pool, and whatever is not known to be of
// this run or could not be read. All else goes. Unlike retention (R1 of docs/checkpoint-format.md)
// it keeps one point, not two: a person asked for it and every byte of that one was read just
// before. Execution is checkpoint/reclaim's.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/catalog.h"
#include "checkpoint/entry_verifier.h"
#include "checkpoint/retention.h"
#include "checkpoint/store_usage.h"

namespace holdfast::checkpoint {

// The two entries that stay whatever happens, and what was learned while they were looked for.
struct CleanKeepers {
    std::optional<Entry> newest;                    // nothing: there is no sound checkpoint
    std::optional<Entry> best;                      // may be the same checkpoint as the newest
    std::map<std::string, Verification> not_sound;  // by path
};

// Verifies the candidates of a resume, newest first, until one is sound; then those of `best`.
// Second copies are none: a run goes on from its own pools.
CleanKeepers find_keepers(const Catalog& catalog,
                          const std::function<Verification(const Entry&)>& verify);

struct CleanItem {
    StoredItem stored;
    std::string why;                   // "superseded", "the newest"
    std::optional<Deletion> deletion;  // of an entry that goes
};

struct CleanPlan {
    std::vector<CleanItem> removed;  // in the order in which they go
    std::vector<CleanItem> kept;

    [[nodiscard]] std::vector<Deletion> deletions() const;
    [[nodiscard]] std::uint64_t freed_bytes() const;
};

// `catalog` is a scan for `run_id`, `items` those of its stored_items() that may be removed.
// Without a newest keeper nothing is removed at all.
CleanPlan plan_clean(const Catalog& catalog,
                     const std::vector<StoredItem>& items,
                     const CleanKeepers& keepers,
                     const std::string& run_id,
                     bool all);

}  // namespace holdfast::checkpoint
