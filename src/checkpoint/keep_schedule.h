// Whether a save is the one that a multiple of keep_every keeps for ever.
#pragma once

#include <cstdint>

#include "checkpoint/catalog.h"

namespace holdfast::checkpoint {

// True when `step` is at or after a multiple of `keep_every` (above 0) for which the current line
// of descent has no save in `keep` yet, nor one that owes it. `keep_every` <= 0: never. Pure.
bool keep_is_due(const Catalog& catalog, std::int64_t step, std::int64_t keep_every);

}  // namespace holdfast::checkpoint
