#include "checkpoint/retention.h"

#include <map>
#include <random>
#include <set>

#include <gmock/gmock.h>

#include "catalog_builder.h"
#include "checkpoint/ancestry.h"

namespace holdfast::checkpoint {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> planned(const Catalog& catalog, const RetentionLimits& limits = {}) {
    std::vector<std::string> labels;
    for (const Deletion& deletion : plan_deletions(catalog, limits)) {
        labels.push_back(RunPaths::relative(deletion.pool, deletion.name));
    }
    return labels;
}

TEST(Retention, KeepsTheNewestTen) {
    CatalogBuilder builder;
    for (std::int64_t step = 0; step < 12; ++step) {
        builder.add(Pool::kRolling, 1, step);
    }
    EXPECT_THAT(planned(builder.catalog()),
                ElementsAre("rolling/step_00000000", "rolling/step_00000001"));
}

TEST(Retention, KeepsBestThoughOlderThanTheLastTen) {
    CatalogBuilder builder;
    builder.add(Pool::kBest, 1, 0);
    builder.add(Pool::kEpoch, 1, 0);
    builder.add(Pool::kKeep, 1, 0);
    for (std::int64_t step = 0; step < 30; ++step) {
        builder.add(Pool::kRolling, 1, step);
    }
    for (const auto& label : planned(builder.catalog())) {
        EXPECT_TRUE(label.starts_with("rolling/")) << label;
    }
    EXPECT_EQ(planned(builder.catalog()).size(), 20U);
}

TEST(Retention, BestIsTheCurrentAndThePrevious) {
    CatalogBuilder builder;
    for (const std::int64_t step : {10, 20, 30}) {
        builder.add(Pool::kBest, 1, step);
    }
    EXPECT_THAT(planned(builder.catalog()), ElementsAre("best/step_00000010"));
}

TEST(Retention, OfSecondCopiesTheNewestOfTheLineStays) {
    CatalogBuilder builder;
    builder.add(Pool::kBackupRolling, 1, 500);
    builder.add(Pool::kBackupRolling, 2, 100, {{1, 50, "a"}});
    builder.add(Pool::kBackupRolling, 2, 150, {{1, 50, "a"}});
    builder.add(Pool::kBackupBest, 1, 50);
    EXPECT_THAT(planned(builder.catalog()),
                ElementsAre("backup/rolling/step_00000500", "backup/rolling/step_00000100-r2"));
}

TEST(Retention, WhatTheOriginalOwesDoesNotPinASecondCopy) {
    CatalogBuilder builder;
    // A catalog of the backups alone does not see which pools the original has joined.
    builder.add(Pool::kBackupRolling, 1, 100).manifest.owed = {Pool::kEpoch, Pool::kKeep};
    builder.add(Pool::kBackupRolling, 1, 200);
    EXPECT_THAT(planned(builder.catalog()), ElementsAre("backup/rolling/step_00000100"));
}

TEST(Retention, SupersededGoFirstThoughTheirStepsAreHigher) {
    CatalogBuilder builder;
    for (const std::int64_t step : {100, 200, 300, 400}) {
        builder.add(Pool::kRolling, 1, step);
    }
    builder.add(Pool::kRolling, 2, 200, {{1, 200, "00000000000000aa"}});
    EXPECT_THAT(planned(builder.catalog(), {.keep_rolling = 3}),
                ElementsAre("rolling/step_00000300", "rolling/step_00000400"));
    EXPECT_THAT(
        planned(builder.catalog(), {.keep_rolling = 2}),
        ElementsAre("rolling/step_00000300", "rolling/step_00000400", "rolling/step_00000100"));
}

TEST(Retention, NeverDeletesTheTwoNewestOfTheLine) {
    CatalogBuilder builder;
    builder.add(Pool::kRolling, 1, 100);
    builder.add(Pool::kRolling, 1, 200);
    for (const std::int64_t keep : {-5, 0, 1, 2}) {
        EXPECT_THAT(planned(builder.catalog(), {.keep_rolling = keep, .keep_emergency = 0}),
                    IsEmpty());
    }
    builder.add(Pool::kEmergency, 1, 300);
    builder.add(Pool::kEmergency, 1, 310);
    EXPECT_THAT(planned(builder.catalog(), {.keep_emergency = 0}), IsEmpty());
}

TEST(Retention, ConfigBelowTheFloorIsRaised) {
    CheckpointConfig config;
    config.keep = 0;
    config.keep_emergency = 0;
    EXPECT_EQ(RetentionLimits::of(config).keep_rolling, 2);
    EXPECT_EQ(RetentionLimits::of(config).keep_emergency, 1);
}

TEST(Retention, WhatStillOwesIsPinned) {
    CatalogBuilder builder;
    for (std::int64_t step = 0; step < 4; ++step) {
        builder.add(Pool::kRolling, 1, step).manifest.owed = {Pool::kKeep};
    }
    EXPECT_THAT(planned(builder.catalog(), {.keep_rolling = 2}), IsEmpty());
}

TEST(Retention, AnEntryThatMustStayCostsNoNewerOne) {
    CatalogBuilder builder;
    for (std::int64_t step = 0; step < 5; ++step) {
        Entry& entry = builder.add(Pool::kRolling, 1, step);
        if (step < 2) {
            entry.manifest.owed = {Pool::kKeep};
        }
    }
    EXPECT_THAT(planned(builder.catalog(), {.keep_rolling = 2}),
                ElementsAre("rolling/step_00000002"));
}

TEST(Retention, APoolThatCannotBeJoinedPinsTheNewestEntryOnly) {
    CatalogBuilder builder;
    for (std::int64_t step = 0; step < 6; ++step) {
        builder.add(Pool::kRolling, 1, step).manifest.owed = {Pool::kBackupRolling};
    }
    EXPECT_THAT(planned(builder.catalog(), {.keep_rolling = 5}),
                ElementsAre("rolling/step_00000000"));
}

TEST(Retention, P1_NothingGoesWhileTheCurrentLineIsNotKnown) {
    CatalogBuilder builder;
    for (const std::int64_t step : {100, 200, 300, 400}) {
        builder.add(Pool::kEmergency, 1, step);
    }
    Catalog catalog = builder.catalog();
    EXPECT_EQ(planned(catalog, {.keep_emergency = 2}).size(), 2U);
    catalog.unlisted = {Pool::kBackupBest};
    EXPECT_EQ(planned(catalog, {.keep_emergency = 2}).size(), 2U) << "a backup disk that is away";
    catalog.unlisted = {Pool::kRolling};
    EXPECT_THAT(planned(catalog, {.keep_emergency = 2}), IsEmpty());
    for (const EntryState state : {EntryState::kUnreadable, EntryState::kDamaged}) {
        CatalogBuilder with_a_newer_line = builder;
        with_a_newer_line.add(Pool::kRolling, 2, 100).state = state;
        EXPECT_THAT(planned(with_a_newer_line.catalog(), {.keep_emergency = 2}), IsEmpty());
    }
}

TEST(Retention, DamagedUnreadableAndForeignAreNotItsToJudge) {
    CatalogBuilder builder;
    for (std::int64_t step = 0; step < 3; ++step) {
        builder.add(Pool::kRolling, 1, step).state = EntryState::kDamaged;
        builder.add(Pool::kRolling, 1, 10 + step).state = EntryState::kUnreadable;
        builder.add(Pool::kRolling, 1, 20 + step).state = EntryState::kForeign;
    }
    EXPECT_THAT(planned(builder.catalog(), {.keep_rolling = 2}), IsEmpty());
    builder.add(Pool::kRolling, 1, 30);
    builder.add(Pool::kRolling, 1, 31);
    EXPECT_THAT(planned(builder.catalog(), {.keep_rolling = 2}), IsEmpty())
        << "a damaged one is no reason to delete a sound one";
}

// A random life of a run: saves into pools, rollbacks, damage, files that cannot be read for a
// while, limits that change, deletions that fail; after each pass every promise holds.
class RandomLife {
public:
    explicit RandomLife(std::uint32_t seed) : random_(seed) {}

    void live(int events) {
        change_limits();
        for (int i = 0; i < events; ++i) {
            if (below(10) == 0) {
                change_limits();
            }
            happen();
            pass();
        }
    }

private:
    std::int64_t below(std::int64_t bound) {
        return std::uniform_int_distribution<std::int64_t>(0, bound - 1)(random_);
    }

    void change_limits() {
        limits_ = {.keep_rolling = below(4),
                   .keep_emergency = below(3),
                   .keep_best = 1 + below(3),
                   .keep_backup_rolling = 1 + below(2),
                   .keep_backup_best = 1};
    }
    [[nodiscard]] std::size_t limit_of(Pool pool) const {
        const std::map<Pool, std::int64_t> limits{
            {Pool::kRolling, std::max<std::int64_t>(limits_.keep_rolling, 2)},
            {Pool::kEmergency, std::max<std::int64_t>(limits_.keep_emergency, 1)},
            {Pool::kBest, limits_.keep_best},
            {Pool::kBackupRolling, limits_.keep_backup_rolling},
            {Pool::kBackupBest, limits_.keep_backup_best}};
        const auto found = limits.find(pool);
        return found == limits.end() ? entries_.size() : static_cast<std::size_t>(found->second);
    }
    Entry& any_entry() { return entries_[static_cast<std::size_t>(below(std::ssize(entries_)))]; }

    void add(Pool pool, std::vector<Pool> owed = {}) {
        Entry entry;
        entry.pool = pool;
        entry.manifest.identity = {lineage_, step_, std::to_string(serial_)};
        entry.manifest.ancestors = ancestors_;
        entry.manifest.owed = std::move(owed);
        entry.name = "entry_" + std::to_string(serial_++);
        entries_.push_back(std::move(entry));
    }

    void happen() {
        const std::int64_t what = below(12);
        if (what == 0 && !entries_.empty()) {
            // Rollback to anything usable.
            const Entry chosen = any_entry();
            if (chosen.usable()) {
                lineage_ = next_lineage(catalog());
                ancestors_ = chosen.manifest.ancestors;
                ancestors_.push_back(chosen.manifest.identity);
                step_ = chosen.manifest.identity.step;
                add(Pool::kRolling);
            }
        } else if (what == 1 && !entries_.empty()) {
            any_entry().state = EntryState::kDamaged;
        } else if (what == 2 && !entries_.empty()) {
            Entry& entry = any_entry();
            entry.state = entry.usable() ? EntryState::kUnreadable : EntryState::kPublished;
        } else {
            step_ += 1 + below(100);
            const Pool pool = kRunPools[static_cast<std::size_t>(below(5))];
            add(what < 8 ? Pool::kRolling : pool,
                what == 7 ? std::vector<Pool>{Pool::kKeep} : std::vector<Pool>{});
        }
    }

    [[nodiscard]] Catalog catalog() const {
        Catalog catalog{entries_, {}};
        std::sort(catalog.entries.begin(), catalog.entries.end(), [](const auto& a, const auto& b) {
            return a.manifest.identity < b.manifest.identity;
        });
        return catalog;
    }

    void pass() {
        const Catalog before = catalog();
        const auto line = resume_candidates(before);
        std::set<std::pair<std::int64_t, std::int64_t>> newest;
        for (const Entry* entry : line) {
            if (newest.size() < 2) {
                newest.insert({entry->manifest.identity.lineage, entry->manifest.identity.step});
            }
        }
        std::set<std::string> deleted;
        std::map<Pool, bool> deleted_on_line;
        for (const Deletion& deletion : plan_deletions(before, limits_)) {
            const auto found =
                std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) {
                    return entry.name == deletion.name;
                });
            ASSERT_NE(found, entries_.end());
            ASSERT_TRUE(found->usable());
            ASSERT_NE(found->pool, Pool::kEpoch);
            ASSERT_NE(found->pool, Pool::kKeep);
            ASSERT_TRUE(outstanding_pools(*found, before).empty());
            const Identity& identity = found->manifest.identity;
            const bool on_line = is_on_line(identity, find_head(before)->manifest);
            ASSERT_FALSE(on_line && newest.contains({identity.lineage, identity.step}));
            ASSERT_TRUE(deleted.insert(found->name).second) << "planned twice";
            ASSERT_EQ(deletion.superseded, !on_line);
            ASSERT_FALSE(!on_line && deleted_on_line[found->pool]) << "superseded go first";
            deleted_on_line[found->pool] |= on_line;
            // Whatever stays of the same pool and standing is not older.
            for (const Entry& other : entries_) {
                if (other.pool == found->pool && other.usable() && !deleted.contains(other.name) &&
                    is_on_line(other.manifest.identity, find_head(before)->manifest) == on_line &&
                    outstanding_pools(other, before).empty() && other.name != found->name &&
                    !newest.contains(
                        {other.manifest.identity.lineage, other.manifest.identity.step})) {
                    ASSERT_LE(
                        std::pair(identity.lineage, identity.step),
                        std::pair(other.manifest.identity.lineage, other.manifest.identity.step));
                }
            }
        }
        // Some deletions fail: the next plan is made of those.
        std::set<std::string> failed;
        for (const std::string& name : deleted) {
            if (below(8) == 0) {
                failed.insert(name);
            }
        }
        std::erase_if(entries_, [&](const Entry& entry) {
            return deleted.contains(entry.name) && !failed.contains(entry.name);
        });
        const Catalog remaining = catalog();
        const auto after = resume_candidates(remaining);
        ASSERT_EQ(after.empty(), line.empty());
        if (!line.empty()) {
            ASSERT_EQ(after.front()->name, line.front()->name) << "the newest stays the newest";
        }
        std::set<std::string> second;
        for (const Deletion& deletion : plan_deletions(remaining, limits_)) {
            second.insert(deletion.name);
        }
        // What the first pass could not do, the second does, and no more; but for one whose debt
        // came back with the deletion of the later entry that had settled it.
        ASSERT_TRUE(std::includes(failed.begin(), failed.end(), second.begin(), second.end()));
        for (const Entry& entry : remaining.entries) {
            ASSERT_TRUE(!failed.contains(entry.name) || second.contains(entry.name) ||
                        !outstanding_pools(entry, remaining).empty());
        }
        if (failed.empty() && knows_current_line(remaining)) {
            expect_limits(remaining, newest);
        }
    }

    // What is above a limit is one of the two newest, or owes.
    void expect_limits(const Catalog& remaining,
                       const std::set<std::pair<std::int64_t, std::int64_t>>& newest) const {
        std::map<Pool, std::size_t> movable;
        std::map<Pool, std::size_t> count;
        for (const Entry& entry : remaining.entries) {
            if (entry.usable()) {
                const Identity& identity = entry.manifest.identity;
                const bool stays = newest.contains({identity.lineage, identity.step}) ||
                                   !outstanding_pools(entry, remaining).empty();
                ++count[entry.pool];
                movable[entry.pool] += stays ? 0U : 1U;
            }
        }
        for (const Pool pool : kAllPools) {
            ASSERT_TRUE(count[pool] <= limit_of(pool) || movable[pool] <= limit_of(pool))
                << to_string(pool) << " holds " << count[pool];
        }
    }

    std::mt19937 random_;
    RetentionLimits limits_;
    std::vector<Entry> entries_;
    std::vector<Identity> ancestors_;
    std::int64_t lineage_ = 1;
    std::int64_t step_ = 0;
    int serial_ = 0;
};

TEST(Retention, P1_HoldsItsPromisesOverRandomLives) {
    for (std::uint32_t seed = 0; seed < 2000; ++seed) {
        SCOPED_TRACE(seed);
        RandomLife(seed).live(60);
        if (::testing::Test::HasFatalFailure()) {
            return;
        }
    }
}

}  // namespace
}  // namespace holdfast::checkpoint
