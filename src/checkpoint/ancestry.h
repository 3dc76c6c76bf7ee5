// Which entries belong to the current line of descent.
//
// A run begins as lineage 1. Resuming anything but the head begins a new lineage at that entry: the
// first checkpoint of the lineage repeats it under lineage + 1, with the fork in `ancestors`. What
// the old lineage did after the fork is superseded: fenced from resume, first to be deleted.
// Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "checkpoint/catalog.h"
#include "checkpoint/manifest.h"

namespace holdfast::checkpoint {

// Whether `entry` is `head` or one of its ancestors, by lineage and step.
bool is_on_line(const Identity& entry, const Manifest& head);

// The usable entry with the highest (lineage, step); null when none is usable. Among equals any.
const Entry* find_head(const Catalog& catalog);

// False while the head may not be of the line that the run is on, and what is on that line would
// pass for superseded: a pool of the run's own disk could not be listed, or an entry that could not
// be read has a later lineage in its name than any that could.
bool knows_current_line(const Catalog& catalog);

// Usable, but not on the line of the head.
bool is_superseded(const Entry& entry, const Entry& head);

// Usable entries of the head's line, newest first; at equal (lineage, step) rolling first, backup
// last.
std::vector<const Entry*> resume_candidates(const Catalog& catalog);

// A line of which nothing can be used: the lineage of its newest name, and the lowest step that one
// of its names tells. Its first checkpoint repeated the one it forked from, so it did so at that
// step or before.
struct LostLine {
    std::int64_t lineage = 0;
    std::int64_t fork_step_max = 0;
};

// The newest lineage among `lost` (identities by name, step -1 unknown) when it is later than that
// of every usable entry: the run was on a line that cannot be read. Nothing otherwise, or when no
// name tells a step.
std::optional<LostLine> find_lost_line(const Catalog& catalog, const std::vector<Identity>& lost);

// True when nothing in the catalog, usable or not, stands after `chosen` by (lineage, step):
// training may go on in its lineage. Otherwise the caller publishes it anew with next_lineage().
bool may_continue_lineage(const Identity& chosen, const Catalog& catalog);

// One more than any lineage in the catalog, those of damaged entries by their names.
std::int64_t next_lineage(const Catalog& catalog);

// The identity and ancestors of the checkpoint that repeats `chosen` as the first of a new lineage.
// save_id is left to the caller.
void begin_lineage(Manifest& manifest, const Manifest& chosen, std::int64_t lineage);

}  // namespace holdfast::checkpoint
