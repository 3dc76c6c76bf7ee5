#include "checkpoint/keep_schedule.h"

#include <algorithm>

#include "checkpoint/ancestry.h"

namespace holdfast::checkpoint {

bool keep_is_due(const Catalog& catalog, std::int64_t step, std::int64_t keep_every) {
    if (keep_every <= 0 || step < keep_every) {
        return false;
    }
    const std::int64_t multiple = step - step % keep_every;
    const Entry* head = find_head(catalog);
    return std::none_of(catalog.entries.begin(), catalog.entries.end(), [&](const Entry& entry) {
        const std::vector<Pool>& owed = entry.manifest.owed;
        const bool kept = entry.pool == Pool::kKeep ||
                          std::find(owed.begin(), owed.end(), Pool::kKeep) != owed.end();
        return kept && entry.usable() && entry.manifest.identity.step >= multiple &&
               is_on_line(entry.manifest.identity, head->manifest);
    });
}

}  // namespace holdfast::checkpoint
