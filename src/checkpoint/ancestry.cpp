#include "checkpoint/ancestry.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace holdfast::checkpoint {

namespace {

std::pair<std::int64_t, std::int64_t> order_of(const Entry& entry) {
    return {entry.manifest.identity.lineage, entry.manifest.identity.step};
}

// At equal order the pool that people look into first is tried first, second copies last.
bool better_candidate(const Entry* a, const Entry* b) {
    if (order_of(*a) != order_of(*b)) {
        return order_of(*a) > order_of(*b);
    }
    return a->pool != b->pool ? a->pool < b->pool
                              : a->manifest.identity.save_id > b->manifest.identity.save_id;
}

}  // namespace

bool is_on_line(const Identity& entry, const Manifest& head) {
    if (entry.lineage == head.identity.lineage) {
        return entry.step <= head.identity.step;
    }
    return std::any_of(head.ancestors.begin(), head.ancestors.end(), [&](const Identity& fork) {
        return fork.lineage == entry.lineage && entry.step <= fork.step;
    });
}

const Entry* find_head(const Catalog& catalog) {
    const Entry* head = nullptr;
    for (const Entry& entry : catalog.entries) {
        if (entry.usable() && (head == nullptr || order_of(entry) >= order_of(*head))) {
            head = &entry;
        }
    }
    return head;
}

bool knows_current_line(const Catalog& catalog) {
    const Entry* head = find_head(catalog);
    const std::int64_t lineage = head == nullptr ? 0 : head->manifest.identity.lineage;
    return std::all_of(catalog.unlisted.begin(), catalog.unlisted.end(), is_backup) &&
           std::none_of(catalog.entries.begin(), catalog.entries.end(), [&](const Entry& entry) {
               return !entry.usable() && entry.state != EntryState::kForeign &&
                      entry.manifest.identity.lineage > lineage;
           });
}

bool is_superseded(const Entry& entry, const Entry& head) {
    return entry.usable() && !is_on_line(entry.manifest.identity, head.manifest);
}

std::vector<const Entry*> resume_candidates(const Catalog& catalog) {
    std::vector<const Entry*> candidates;
    const Entry* head = find_head(catalog);
    if (head == nullptr) {
        return candidates;
    }
    for (const Entry& entry : catalog.entries) {
        if (entry.usable() && is_on_line(entry.manifest.identity, head->manifest)) {
            candidates.push_back(&entry);
        }
    }
    std::sort(candidates.begin(), candidates.end(), better_candidate);
    return candidates;
}

std::optional<LostLine> find_lost_line(const Catalog& catalog, const std::vector<Identity>& lost) {
    const Entry* head = find_head(catalog);
    std::optional<LostLine> line;
    for (const Identity& identity : lost) {
        const bool is_later = head == nullptr || identity.lineage > head->manifest.identity.lineage;
        if (!is_later || identity.step < 0 || (line && identity.lineage < line->lineage)) {
            continue;
        }
        if (!line || identity.lineage > line->lineage) {
            line = LostLine{identity.lineage, identity.step};
        }
        line->fork_step_max = std::min(line->fork_step_max, identity.step);
    }
    return line;
}

bool may_continue_lineage(const Identity& chosen, const Catalog& catalog) {
    return std::none_of(catalog.entries.begin(), catalog.entries.end(), [&](const Entry& entry) {
        return entry.state != EntryState::kForeign &&
               order_of(entry) > std::pair(chosen.lineage, chosen.step);
    });
}

std::int64_t next_lineage(const Catalog& catalog) {
    std::int64_t newest = 0;
    for (const Entry& entry : catalog.entries) {
        if (entry.state != EntryState::kForeign) {
            newest = std::max(newest, entry.manifest.identity.lineage);
        }
    }
    return newest + 1;
}

void begin_lineage(Manifest& manifest, const Manifest& chosen, std::int64_t lineage) {
    HF_CHECK(lineage > chosen.identity.lineage,
             "lineage {} cannot begin at one of lineage {}",
             lineage,
             chosen.identity.lineage);
    manifest.identity.lineage = lineage;
    manifest.identity.step = chosen.identity.step;
    manifest.ancestors = chosen.ancestors;
    manifest.ancestors.push_back(chosen.identity);
}

}  // namespace holdfast::checkpoint
