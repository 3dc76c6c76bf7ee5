// What is shouted at once after a save: signs that keeping checkpoints does not go as it should,
// seen before the disk is full of them. Pure; any thread.
#pragma once

#include <string>
#include <vector>

#include "checkpoint/catalog.h"
#include "checkpoint/reclaim.h"
#include "checkpoint/retention.h"

namespace holdfast::checkpoint {

// One line each, none when all is well. `catalog` is the store after the deletions of a save,
// `report` what came of them.
// - A pool of `catalog` holds more than its limit; give it the pools whose deletions are done,
// since
//   a second copy is there before the one before it goes. The two newest points of the line, which
//   no limit takes away, do not count against it; an entry that still owes a pool does, and is told
//   as the reason.
// - A pool cannot be listed, so nothing holds it to its limit.
// - The newest checkpoint of the line has more than twice, or less than half, the bytes of the one
//   before: the same state takes the same bytes.
// - A deletion or a link that was not confirmed: the failures of the report.
std::vector<std::string> red_flags(const Catalog& catalog,
                                   const RetentionLimits& limits,
                                   const ReclaimReport& report);

}  // namespace holdfast::checkpoint
