// Self-repair: a damaged entry is published anew from another real copy of the same checkpoint.
//
// The steps are those of a save: a pending directory is filled from the sound copy, verified, and
// only then the damaged entry goes to quarantine and the new one takes its name. A crash before the
// last step leaves the sound copy, from which the next resume repairs or restores again. Only while
// nobody else writes to the run (its lock is held, no saver and no backup writer runs). Each call
// looks at each copy once; nothing here repeats itself. Blocks on the disk.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "checkpoint/catalog.h"
#include "checkpoint/run_directory.h"

namespace holdfast::checkpoint {

struct Repair {
    Entry entry;                    // what stands in its place now
    std::vector<std::string> told;  // one line for each entry repaired
};

// Repairs `damaged` (`why` says how) from the first sound copy: links to another pool's, a real
// copy of a backup. When its bytes were found damaged though its manifest is sound (kPublished),
// entries that share its files are no copies of it: they are damaged with it, and repaired with it.
// Nothing when there is no sound copy, or when the disk refuses (a warning in the log); then the
// damaged entry is where it was, or in quarantine. Entries of backup pools are not repaired: their
// writer makes them anew.
std::optional<Repair> repair_entry(const RunDirectory& run, const Entry& damaged);

// A second copy whose original is gone is copied back into the pool it is a copy of.
base::Result<Entry> restore_from_backup(const RunDirectory& run, const Entry& backup);

}  // namespace holdfast::checkpoint
