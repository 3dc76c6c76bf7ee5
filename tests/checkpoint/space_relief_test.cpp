#include "checkpoint/space_relief.h"

#include <limits>
#include <set>

#include <gmock/gmock.h>

#include "catalog_builder.h"
#include "checkpoint/ancestry.h"

namespace holdfast::checkpoint {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::uint64_t kAll = std::numeric_limits<std::uint64_t>::max();
constexpr std::uint64_t kEach = 100;

Entry& add(CatalogBuilder& builder,
           Pool pool,
           std::int64_t lineage,
           std::int64_t step,
           std::vector<Identity> ancestors = {}) {
    Entry& entry = builder.add(pool, lineage, step, std::move(ancestors));
    entry.bytes = kEach;
    return entry;
}

std::vector<std::string> planned(const CatalogBuilder& builder, std::uint64_t bytes_wanted = kAll) {
    std::vector<std::string> labels;
    for (const Relief& relief : plan_relief(builder.catalog(), bytes_wanted).reliefs) {
        labels.push_back(RunPaths::relative(relief.deletion.pool, relief.deletion.name));
    }
    return labels;
}

TEST(SpaceRelief, SupersededGoFirstThenRollingThenEmergencyOldestFirst) {
    CatalogBuilder builder;
    add(builder, Pool::kEmergency, 1, 50);
    for (const std::int64_t step : {100, 200, 300}) {
        add(builder, Pool::kRolling, 1, step);
    }
    add(builder, Pool::kEmergency, 1, 250);
    for (const std::int64_t step : {200, 400, 500}) {
        add(builder, Pool::kRolling, 2, step, {{1, 200, "00000000000000aa"}});
    }
    EXPECT_THAT(planned(builder),
                ElementsAre("emergency/step_00000250",
                            "rolling/step_00000300",
                            "rolling/step_00000100",
                            "rolling/step_00000200",
                            "rolling/step_00000200-r2",
                            "emergency/step_00000050"));
}

TEST(SpaceRelief, StopsWhenItIsEnough) {
    CatalogBuilder builder;
    for (const std::int64_t step : {100, 200, 300, 400}) {
        add(builder, Pool::kRolling, 1, step);
    }
    EXPECT_THAT(planned(builder, 0), IsEmpty());
    EXPECT_THAT(planned(builder, 1), ElementsAre("rolling/step_00000100"));
    EXPECT_THAT(planned(builder, kEach), ElementsAre("rolling/step_00000100"));
    const ReliefPlan enough = plan_relief(builder.catalog(), kEach + 1);
    EXPECT_EQ(enough.reliefs.size(), 2U);
    EXPECT_EQ(enough.bytes, 2 * kEach);
    EXPECT_TRUE(enough.is_enough);
}

TEST(SpaceRelief, SaysWhenAllThatMayGoIsNotEnough) {
    CatalogBuilder builder;
    for (const std::int64_t step : {100, 200, 300}) {
        add(builder, Pool::kRolling, 1, step);
    }
    const ReliefPlan plan = plan_relief(builder.catalog(), 2 * kEach);
    EXPECT_EQ(plan.reliefs.size(), 1U);
    EXPECT_EQ(plan.bytes, kEach);
    EXPECT_FALSE(plan.is_enough);
}

TEST(SpaceRelief, P1_NothingGoesWhileTheCurrentLineIsNotKnown) {
    CatalogBuilder builder;
    for (const std::int64_t step : {100, 200, 300}) {
        add(builder, Pool::kRolling, 1, step);
    }
    EXPECT_THAT(planned(builder), ElementsAre("rolling/step_00000100"));
    add(builder, Pool::kRolling, 2, 100).state = EntryState::kUnreadable;
    EXPECT_THAT(planned(builder), IsEmpty());
}

TEST(SpaceRelief, LeavesWhatItWouldNotFree) {
    CatalogBuilder builder;
    add(builder, Pool::kRolling, 1, 100).shared_bytes = kEach;
    add(builder, Pool::kRolling, 1, 200).shared_bytes = 1;
    add(builder, Pool::kRolling, 1, 300);
    add(builder, Pool::kRolling, 1, 400);
    EXPECT_THAT(planned(builder), IsEmpty());
}

TEST(SpaceRelief, NeverTouchesThePoolsThatAreKept) {
    CatalogBuilder builder;
    for (const Pool pool :
         {Pool::kBest, Pool::kEpoch, Pool::kKeep, Pool::kBackupRolling, Pool::kBackupBest}) {
        add(builder, pool, 1, 100);
        add(builder, pool, 1, 300);  // superseded
    }
    add(builder, Pool::kRolling, 2, 200, {{1, 200, "00000000000000aa"}});
    add(builder, Pool::kRolling, 2, 210, {{1, 200, "00000000000000aa"}});
    EXPECT_THAT(planned(builder), IsEmpty());
}

TEST(SpaceRelief, NothingOfAnEmptyStore) {
    EXPECT_FALSE(plan_relief(Catalog{}, 1).is_enough);
    EXPECT_TRUE(plan_relief(Catalog{}, 0).is_enough);
}

TEST(SpaceRelief, P1_NeverPlansAProtectedEntryAway) {
    for (std::uint32_t seed = 0; seed < 3000; ++seed) {
        SCOPED_TRACE(seed);
        const Catalog catalog = random_catalog(seed);
        const auto line = resume_candidates(catalog);
        std::set<std::pair<std::int64_t, std::int64_t>> newest;
        for (const Entry* entry : line) {
            if (newest.size() < 2) {
                newest.insert({entry->manifest.identity.lineage, entry->manifest.identity.step});
            }
        }
        std::uint64_t bytes = 0;
        std::set<std::string> planned;
        for (const Relief& relief : plan_relief(catalog, kAll).reliefs) {
            const Deletion& deletion = relief.deletion;
            const std::string label = RunPaths::relative(deletion.pool, deletion.name);
            const Entry* entry = CatalogBuilder::find(catalog, label);
            ASSERT_NE(entry, nullptr) << label;
            ASSERT_TRUE(planned.insert(label).second) << label;
            ASSERT_TRUE(entry->pool == Pool::kRolling || entry->pool == Pool::kEmergency) << label;
            ASSERT_TRUE(entry->usable()) << label;
            ASSERT_EQ(entry->shared_bytes, 0U) << label;
            ASSERT_TRUE(outstanding_pools(*entry, catalog).empty()) << label;
            const Identity& identity = entry->manifest.identity;
            ASSERT_FALSE(newest.contains({identity.lineage, identity.step})) << label;
            ASSERT_EQ(deletion.superseded, !is_on_line(identity, line.front()->manifest)) << label;
            ASSERT_EQ(relief.bytes, entry->bytes) << label;
            bytes += relief.bytes;
        }
        // A smaller wish takes a beginning of the same order, no longer than needed.
        const std::uint64_t wanted = bytes / 2;
        const ReliefPlan half = plan_relief(catalog, wanted);
        ASSERT_TRUE(half.is_enough);
        ASSERT_TRUE(half.reliefs.empty() || half.bytes - half.reliefs.back().bytes < wanted);
    }
}

}  // namespace
}  // namespace holdfast::checkpoint
