#include "checkpoint/clean_plan.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "checkpoint/ancestry.h"

namespace holdfast::checkpoint {

namespace {

struct Decision {
    bool is_removed = false;
    std::string why;
};

Decision keep(std::string why) {
    return {false, std::move(why)};
}
Decision remove(std::string why) {
    return {true, std::move(why)};
}

// Copies on a backup disk are made by a save or later, never waited for.
std::vector<Pool> pools_to_wait_for(const Entry& entry, const Catalog& catalog) {
    std::vector<Pool> pools = outstanding_pools(entry, catalog);
    std::erase_if(pools, is_backup);
    return pools;
}

class Judge {
public:
    Judge(const Catalog& catalog, const CleanKeepers& keepers, const std::string& run_id, bool all)
        : catalog_(catalog),
          keepers_(keepers),
          run_id_(run_id),
          all_(all),
          head_(find_head(catalog)) {}

    [[nodiscard]] Decision judge(const Entry& entry) const {
        switch (entry.state) {
            case EntryState::kForeign:
                return keep(entry.why);
            case EntryState::kUnreadable:
                return keep("cannot be read now: " + entry.why);
            case EntryState::kDamaged:
                if (can_be_repaired(entry)) {
                    return keep(kRepairable);
                }
                return entry.manifest.run_id == run_id_
                           ? remove("damaged: " + entry.why)
                           : keep(fmt::format("damaged, and not known to be of this run: {}",
                                              entry.why));
            case EntryState::kPublished:
                return judge_sound(entry);
        }
        return keep("");
    }

    [[nodiscard]] bool is_superseded_entry(const Entry& entry) const {
        return head_ != nullptr && is_superseded(entry, *head_);
    }

private:
    static constexpr const char* kRepairable =
        "damaged, but the next start of the run repairs it from its second copy";

    // Newer than what was found sound, and there is a second copy of it.
    [[nodiscard]] bool can_be_repaired(const Entry& entry) const {
        const auto position = [](const Identity& identity) {
            return std::pair(identity.lineage, identity.step);
        };
        const auto wanted = position(entry.manifest.identity);
        return !is_backup(entry.pool) && wanted > position(keepers_.newest->manifest.identity) &&
               std::any_of(
                   catalog_.entries.begin(), catalog_.entries.end(), [&](const Entry& copy) {
                       return is_backup(copy.pool) && copy.usable() &&
                              position(copy.manifest.identity) == wanted;
                   });
    }

    [[nodiscard]] Decision judge_sound(const Entry& entry) const {
        if (entry.path == keepers_.newest->path) {
            return keep("the newest, verified");
        }
        if (keepers_.best && entry.path == keepers_.best->path) {
            return keep("the best, verified");
        }
        if (const auto found = keepers_.not_sound.find(entry.path);
            found != keepers_.not_sound.end()) {
            const Verification& verification = found->second;
            if (can_be_repaired(entry)) {
                return keep(kRepairable);
            }
            return verification.verdict == Verdict::kDamaged
                       ? remove("damaged: " + verification.why)
                       : keep("cannot be read now: " + verification.why);
        }
        const bool is_for_ever = entry.pool == Pool::kEpoch || entry.pool == Pool::kKeep;
        if (is_for_ever && !all_) {
            return keep("kept for ever (--all takes it too)");
        }
        if (const auto pools = pools_to_wait_for(entry, catalog_); !pools.empty()) {
            return keep(fmt::format("has yet to join {}, which the next start of the run sees to",
                                    to_string(pools.front())));
        }
        if (is_superseded_entry(entry)) {
            return remove("superseded");
        }
        return judge_on_line(entry);
    }

    [[nodiscard]] Decision judge_on_line(const Entry& entry) const {
        const Identity& mine = entry.manifest.identity;
        const Identity& newest = keepers_.newest->manifest.identity;
        const bool is_older =
            std::pair(mine.lineage, mine.step) < std::pair(newest.lineage, newest.step);
        if (is_backup(entry.pool)) {
            return is_older ? remove("second copy of an older one")
                            : keep("second copy of the newest");
        }
        if (entry.pool == Pool::kBest) {
            return remove(is_older ? "no longer the best" : "the newest again");
        }
        return remove(is_older ? "older" : "the newest again");
    }

    const Catalog& catalog_;
    const CleanKeepers& keepers_;
    const std::string& run_id_;
    bool all_;
    const Entry* head_;
};

std::string why_removed(StoredKind kind) {
    switch (kind) {
        case StoredKind::kQuarantine:
            return "put aside as damaged";
        case StoredKind::kTrash:
            return "its deletion was begun";
        case StoredKind::kPending:
            return "a save that was never finished";
        case StoredKind::kTemporary:
        case StoredKind::kEntry:
            break;
    }
    return "left by a crash";
}

// What is nobody's checkpoint goes first, then superseded ones, then the oldest.
auto order_of(const CleanItem& item) {
    const bool is_entry = item.deletion.has_value();
    return std::tuple(is_entry,
                      is_entry && !item.deletion->superseded,
                      is_entry ? item.deletion->identity : Identity{});
}

}  // namespace

CleanKeepers find_keepers(const Catalog& catalog,
                          const std::function<Verification(const Entry&)>& verify) {
    CleanKeepers keepers;
    const std::vector<const Entry*> candidates = resume_candidates(catalog);
    const auto first_sound = [&](auto is_wanted) -> std::optional<Entry> {
        for (const Entry* entry : candidates) {
            if (!is_wanted(*entry) || keepers.not_sound.contains(entry->path)) {
                continue;
            }
            Verification verification = verify(*entry);
            if (verification.verdict == Verdict::kSound) {
                return *entry;
            }
            keepers.not_sound.emplace(entry->path, std::move(verification));
        }
        return std::nullopt;
    };
    keepers.newest = first_sound([](const Entry& entry) { return !is_backup(entry.pool); });
    keepers.best = first_sound([](const Entry& entry) { return entry.pool == Pool::kBest; });
    return keepers;
}

std::vector<Deletion> CleanPlan::deletions() const {
    std::vector<Deletion> deletions;
    for (const CleanItem& item : removed) {
        if (item.deletion) {
            deletions.push_back(*item.deletion);
        }
    }
    return deletions;
}

std::uint64_t CleanPlan::freed_bytes() const {
    std::vector<StoredItem> items;
    items.reserve(removed.size());
    for (const CleanItem& item : removed) {
        items.push_back(item.stored);
    }
    return freed_bytes_of(items);
}

CleanPlan plan_clean(const Catalog& catalog,
                     const std::vector<StoredItem>& items,
                     const CleanKeepers& keepers,
                     const std::string& run_id,
                     bool all) {
    CleanPlan plan;
    if (!keepers.newest) {
        return plan;
    }
    const Judge judge(catalog, keepers, run_id, all);
    std::map<std::string, const Entry*> by_path;
    for (const Entry& entry : catalog.entries) {
        by_path.emplace(entry.path, &entry);
    }
    for (const StoredItem& item : items) {
        if (item.kind != StoredKind::kEntry) {
            plan.removed.push_back({item, why_removed(item.kind), std::nullopt});
            continue;
        }
        const auto found = by_path.find(item.path);
        HF_CHECK(found != by_path.end(), "{} is stored, but not in the catalog", item.path);
        const Entry& entry = *found->second;
        Decision decision = judge.judge(entry);
        if (!decision.is_removed) {
            plan.kept.push_back({item, std::move(decision.why), std::nullopt});
            continue;
        }
        plan.removed.push_back({item,
                                std::move(decision.why),
                                Deletion{.pool = entry.pool,
                                         .name = entry.name,
                                         .identity = entry.manifest.identity,
                                         .superseded = judge.is_superseded_entry(entry)}});
    }
    std::stable_sort(
        plan.removed.begin(), plan.removed.end(), [](const CleanItem& a, const CleanItem& b) {
            return order_of(a) < order_of(b);
        });
    return plan;
}

}  // namespace holdfast::checkpoint
