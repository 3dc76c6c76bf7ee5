// A catalog without a disk.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
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

}  // namespace holdfast::checkpoint
