#include "checkpoint/clean_plan.h"

#include <map>
#include <set>

#include <gmock/gmock.h>

#include "catalog_builder.h"

namespace holdfast::checkpoint {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::IsSupersetOf;
using ::testing::Not;

constexpr const char* kRun = "00000000000000aa";

class CleanPlanTest : public ::testing::Test {
protected:
    Entry& add(Pool pool,
               std::int64_t lineage,
               std::int64_t step,
               std::vector<Identity> ancestors = {}) {
        Entry& entry = builder_.add(pool, lineage, step, std::move(ancestors));
        entry.manifest.run_id = kRun;
        return entry;
    }

    // Every entry one file of 100 bytes of its own, unless share() said otherwise.
    std::vector<StoredItem> items(const Catalog& catalog) const {
        std::vector<StoredItem> items = extra_;
        std::uint64_t inode = 1000;
        for (const Entry& entry : catalog.entries) {
            const auto shared = inodes_.find(entry.label());
            StoredFile file{1, shared == inodes_.end() ? ++inode : shared->second.first, 100, 1};
            file.link_count = shared == inodes_.end() ? 1 : shared->second.second;
            items.push_back({StoredKind::kEntry, entry.label(), entry.path, {file}});
        }
        return items;
    }
    void share(const std::string& label, std::uint64_t inode, std::uint64_t links) {
        inodes_[label] = {inode, links};
    }

    CleanPlan plan(bool all = false) {
        const Catalog catalog = builder_.catalog();
        const CleanKeepers keepers = find_keepers(catalog, [&](const Entry& entry) {
            verified_.push_back(entry.label());
            Verification verification;
            if (const auto bad = bad_.find(entry.label()); bad != bad_.end()) {
                verification.verdict = bad->second;
                verification.why = "bytes differ";
            }
            return verification;
        });
        return plan_clean(catalog, items(catalog), keepers, kRun, all);
    }
    static std::vector<std::string> labels(const std::vector<CleanItem>& items) {
        std::vector<std::string> labels;
        for (const CleanItem& item : items) {
            labels.push_back(item.stored.label);
        }
        return labels;
    }

    CatalogBuilder builder_;
    std::map<std::string, std::pair<std::uint64_t, std::uint64_t>> inodes_;  // and links
    std::map<std::string, Verdict> bad_;
    std::vector<StoredItem> extra_;
    std::vector<std::string> verified_;
};

TEST_F(CleanPlanTest, KeepsTheNewestTheBestAndWhatIsKeptForEver) {
    for (const std::int64_t step : {0, 20, 40, 60}) {
        add(Pool::kRolling, 1, step);
    }
    add(Pool::kBest, 1, 20);
    add(Pool::kBest, 1, 40);
    add(Pool::kEpoch, 1, 34);
    add(Pool::kKeep, 1, 20);
    add(Pool::kEmergency, 1, 30);
    const CleanPlan clean = plan();
    EXPECT_THAT(labels(clean.kept),
                ::testing::UnorderedElementsAre("rolling/step_00000060",
                                                "best/step_00000040",
                                                "epoch/epoch_00034",
                                                "keep/step_00000020"));
    EXPECT_EQ(clean.removed.size(), 5U);
    EXPECT_EQ(clean.freed_bytes(), 500U);
    EXPECT_THAT(verified_, ElementsAre("rolling/step_00000060", "best/step_00000040"));
}

TEST_F(CleanPlanTest, AllTakesEpochAndKeepButNeverTheNewestAndTheBest) {
    add(Pool::kRolling, 1, 20);
    add(Pool::kBest, 1, 20);
    add(Pool::kKeep, 1, 20);
    add(Pool::kEpoch, 1, 60);
    EXPECT_THAT(labels(plan(/*all=*/true).kept),
                ElementsAre("best/step_00000020", "epoch/epoch_00060"));
}

TEST_F(CleanPlanTest, P1_DamagedNewestFallsBackAndTheOnlySoundOneStays) {
    for (const std::int64_t step : {0, 20, 40}) {
        add(Pool::kRolling, 1, step);
    }
    bad_["rolling/step_00000040"] = Verdict::kDamaged;
    bad_["rolling/step_00000020"] = Verdict::kDamaged;
    const CleanPlan clean = plan();
    EXPECT_THAT(labels(clean.kept), ElementsAre("rolling/step_00000000"));
    EXPECT_THAT(labels(clean.removed),
                ElementsAre("rolling/step_00000020", "rolling/step_00000040"));
}

TEST_F(CleanPlanTest, P1_NothingSoundDeletesNothing) {
    add(Pool::kRolling, 1, 0);
    add(Pool::kRolling, 1, 20);
    bad_["rolling/step_00000000"] = Verdict::kDamaged;
    bad_["rolling/step_00000020"] = Verdict::kUnreadable;
    extra_.push_back({StoredKind::kTrash, ".trash/x", "/run/.trash/x", {}});
    EXPECT_THAT(plan().removed, IsEmpty());
}

TEST_F(CleanPlanTest, DamagedBestFallsBackToThePreviousBest) {
    add(Pool::kRolling, 1, 60);
    add(Pool::kBest, 1, 20);
    add(Pool::kBest, 1, 40);
    bad_["best/step_00000040"] = Verdict::kDamaged;
    EXPECT_THAT(labels(plan().kept), ElementsAre("best/step_00000020", "rolling/step_00000060"));
}

TEST_F(CleanPlanTest, UnreadableForeignAndUnknownStay) {
    add(Pool::kRolling, 1, 60);
    add(Pool::kRolling, 1, 50).state = EntryState::kUnreadable;
    add(Pool::kRolling, 1, 40).state = EntryState::kForeign;
    add(Pool::kRolling, 1, 30).state = EntryState::kDamaged;
    Entry& nobodys = add(Pool::kRolling, 1, 20);
    nobodys.state = EntryState::kDamaged;
    nobodys.manifest.run_id.clear();
    add(Pool::kRolling, 1, 70);
    bad_["rolling/step_00000070"] = Verdict::kUnreadable;
    EXPECT_THAT(labels(plan().removed), ElementsAre("rolling/step_00000030"))
        << "damaged, and known by its manifest to be of this run";
}

TEST_F(CleanPlanTest, SupersededGoFirstWhateverTheirStep) {
    for (const std::int64_t step : {20, 40, 60}) {
        add(Pool::kRolling, 1, step);
    }
    add(Pool::kRolling, 2, 20, {{1, 20, "0"}});
    add(Pool::kRolling, 2, 40, {{1, 20, "0"}});
    add(Pool::kBest, 1, 60);
    extra_.push_back({StoredKind::kPending, ".pending-x", "/run/.pending-x", {}});
    const CleanPlan clean = plan();
    EXPECT_THAT(labels(clean.kept), ElementsAre("rolling/step_00000040-r2"));
    EXPECT_THAT(labels(clean.removed),
                ElementsAre(".pending-x",
                            "rolling/step_00000040",
                            "rolling/step_00000060",
                            "best/step_00000060",
                            "rolling/step_00000020",
                            "rolling/step_00000020-r2"));
}

TEST_F(CleanPlanTest, SecondCopyOfTheNewestStaysOlderOnesGo) {
    add(Pool::kRolling, 1, 60);
    add(Pool::kBackupRolling, 1, 40);
    add(Pool::kBackupRolling, 1, 60);
    EXPECT_THAT(labels(plan().removed), ElementsAre("backup/rolling/step_00000040"));
}

TEST_F(CleanPlanTest, P1_ASecondCopyIsNoReasonToDeleteAllOfTheRunItself) {
    add(Pool::kRolling, 1, 40);
    add(Pool::kBackupRolling, 1, 60);
    EXPECT_THAT(labels(plan().removed), IsEmpty());
    bad_["rolling/step_00000040"] = Verdict::kDamaged;
    EXPECT_THAT(labels(plan().removed), IsEmpty());
}

TEST_F(CleanPlanTest, P2_DamagedButRepairableFromItsSecondCopyStays) {
    for (const std::int64_t step : {20, 40, 60, 80}) {
        add(Pool::kRolling, 1, step);
    }
    add(Pool::kRolling, 1, 100).state = EntryState::kDamaged;
    add(Pool::kBackupRolling, 1, 60);
    add(Pool::kBackupRolling, 1, 100);
    bad_["rolling/step_00000060"] = Verdict::kDamaged;
    bad_["rolling/step_00000080"] = Verdict::kDamaged;
    EXPECT_THAT(labels(plan().removed),
                ElementsAre("rolling/step_00000020", "rolling/step_00000080"));
}

TEST_F(CleanPlanTest, WhatHasYetToJoinAPoolStays) {
    add(Pool::kRolling, 1, 20).manifest.owed = {Pool::kKeep};
    add(Pool::kRolling, 1, 40).manifest.owed = {Pool::kBackupRolling};
    add(Pool::kRolling, 1, 60);
    EXPECT_THAT(labels(plan().removed), ElementsAre("rolling/step_00000040"));
}

TEST_F(CleanPlanTest, SharedBytesComeFreeWithTheirLastName) {
    add(Pool::kRolling, 1, 20);
    add(Pool::kRolling, 1, 40);
    add(Pool::kEmergency, 1, 40);
    add(Pool::kRolling, 1, 60);
    add(Pool::kEpoch, 1, 20);
    share("rolling/step_00000020", 7, 2);  // the epoch's name stays
    share("epoch/epoch_00020", 7, 2);
    share("rolling/step_00000040", 8, 2);  // both go
    share("emergency/step_00000040", 8, 2);
    const CleanPlan clean = plan();
    EXPECT_THAT(labels(clean.removed),
                IsSupersetOf({"rolling/step_00000020", "rolling/step_00000040"}));
    EXPECT_THAT(labels(clean.removed), Not(Contains("epoch/epoch_00020")));
    EXPECT_EQ(clean.freed_bytes(), 100U);
}

TEST_F(CleanPlanTest, ANameOutsideTheRunHoldsTheBytes) {
    add(Pool::kRolling, 1, 20);
    add(Pool::kRolling, 1, 60);
    share("rolling/step_00000020", 7, 2);
    EXPECT_EQ(plan().freed_bytes(), 0U);
}

}  // namespace
}  // namespace holdfast::checkpoint
