// A catalog without a disk.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "checkpoint/catalog.h"

namespace holdfast::checkpoint {

class CatalogBuilder {
public:
    // An entry with the name that the pool gives it; the reference is good until catalog().
    Entry& add(Pool pool,
               std::int64_t lineage,
               std::int64_t step,
               std::vector<Identity> ancestors = {}) {
        Entry entry;
        entry.pool = pool;
        entry.manifest.identity = {lineage, step, std::to_string(entries_.size())};
        entry.manifest.ancestors = std::move(ancestors);
        entry.name = to_string(name_in_pool(pool, step, step, lineage, 1795356301));
        if (pool == Pool::kEmergency) {
            entry.name = "step_" + to_string(name_in_pool(pool, step, 0, 1, 0)).substr(5, 8);
        }
        entry.path = "/run/" + entry.label();
        entries_.push_back(std::move(entry));
        return entries_.back();
    }
    [[nodiscard]] Catalog catalog() const {
        Catalog catalog{{entries_.begin(), entries_.end()}, {}};
        std::sort(
            catalog.entries.begin(), catalog.entries.end(), [](const Entry& a, const Entry& b) {
                return a.manifest.identity < b.manifest.identity;
            });
        return catalog;
    }
    static const Entry* find(const Catalog& catalog, const std::string& label) {
        for (const Entry& entry : catalog.entries) {
            if (entry.label() == label) {
                return &entry;
            }
        }
        return nullptr;
    }

private:
    std::deque<Entry> entries_;  // references stay good while it grows
};

// Any catalog a run may come to: lineages that fork anywhere, entries in all pools, some shared,
// damaged, of another run or owing a pool.
inline Catalog random_catalog(std::uint32_t seed) {
    std::mt19937 random(seed);
    const auto below = [&random](std::int64_t bound) {
        return std::uniform_int_distribution<std::int64_t>(0, bound - 1)(random);
    };
    CatalogBuilder builder;
    std::int64_t lineage = 1;
    std::int64_t step = 0;
    std::vector<Identity> ancestors;
    for (std::int64_t count = below(30); count > 0; --count) {
        if (below(8) == 0) {
            step = below(step + 1);
            ancestors.push_back({lineage++, step, "fork"});
        }
        step += 1 + below(100);
        const Pool pool =
            below(2) == 0 ? Pool::kRolling : kAllPools.at(static_cast<std::size_t>(below(7)));
        Entry& entry = builder.add(pool, lineage, step, ancestors);
        entry.name = "entry_" + std::to_string(count);
        entry.bytes = 1 + static_cast<std::uint64_t>(below(1000));
        entry.shared_bytes = below(4) == 0 ? entry.bytes : 0;
        if (below(8) == 0) {
            entry.manifest.owed = {kAllPools.at(static_cast<std::size_t>(below(7)))};
        }
        if (below(8) == 0) {
            entry.state = static_cast<EntryState>(1 + below(3));
        }
    }
    return builder.catalog();
}

}  // namespace holdfast::checkpoint
