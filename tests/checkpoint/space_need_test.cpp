#include "checkpoint/space_need.h"

#include <limits>

#include <gmock/gmock.h>

#include "catalog_builder.h"
#include "checkpoint/pending_save.h"

namespace holdfast::checkpoint {
namespace {

constexpr std::uint64_t kSize = 1U << 20U;
constexpr std::int64_t kManySaves = 1000;

SpacePlan long_plan(BackupPlace backup = BackupPlace::kNone) {
    return {.checkpoint_bytes = kSize,
            .limits = {},
            .to_come = {.rolling = kManySaves, .best = kManySaves, .epochs = 3, .kept = 4},
            .backup = backup};
}

// An entry with blocks of its own.
Entry& add(CatalogBuilder& builder, Pool pool, std::int64_t step, std::uint64_t inode) {
    Entry& entry = builder.add(pool, 1, step);
    entry.inode = inode;
    entry.bytes = kSize;
    return entry;
}

TEST(SpaceNeed, CountsEveryPoolAtItsLimitAndTheOneBeingWritten) {
    const SpaceNeed need = plan_space({}, long_plan());
    EXPECT_EQ(need.run.in_words(),
              "10 rolling, 1 being written, 10 emergency, 2 best, 3 epoch, 4 keep");
    EXPECT_EQ(need.run.bytes, 30 * kSize);
    EXPECT_EQ(need.run.to_come_bytes, 30 * kSize);
    EXPECT_EQ(need.backup.bytes, 0U);
    EXPECT_EQ(need.backup.to_come_bytes, 0U);
}

TEST(SpaceNeed, AShortRunDoesNotFillItsPools) {
    SpacePlan plan = long_plan();
    plan.to_come = {.rolling = 4};
    EXPECT_EQ(plan_space({}, plan).run.in_words(), "4 rolling, 1 being written, 10 emergency");
}

TEST(SpaceNeed, BackupsShareTheDiskOrTakeTheirOwn) {
    const SpaceNeed shared = plan_space({}, long_plan(BackupPlace::kRunDisk));
    EXPECT_EQ(shared.run.in_words(),
              "10 rolling, 1 being written, 10 emergency, 2 best, 3 epoch, 4 keep, "
              "1 backup/rolling, 1 backup/best, 1 being written");
    EXPECT_EQ(shared.run.bytes, 33 * kSize);
    EXPECT_EQ(shared.backup.bytes, 0U);
    const SpaceNeed apart = plan_space({}, long_plan(BackupPlace::kOtherDisk));
    EXPECT_EQ(apart.run.bytes, 30 * kSize);
    EXPECT_EQ(apart.backup.in_words(), "1 backup/rolling, 1 backup/best, 1 being written");
    EXPECT_EQ(apart.backup.bytes, 3 * kSize);
}

TEST(SpaceNeed, WhatIsThereNeedsNoNewRoom) {
    CatalogBuilder builder;
    for (std::int64_t step = 0; step < 10; ++step) {
        add(builder, Pool::kRolling, step, static_cast<std::uint64_t>(step));
    }
    add(builder, Pool::kBest, 3, 3);  // a link
    add(builder, Pool::kEpoch, 1, 77);
    const SpaceNeed need = plan_space(builder.catalog(), long_plan());
    EXPECT_EQ(need.run.in_words(),
              "10 rolling, 1 being written, 10 emergency, 2 best, 4 epoch, 4 keep");
    EXPECT_EQ(need.run.present_bytes, 11 * kSize) << "the link is no second copy";
    EXPECT_EQ(need.run.to_come_bytes, (31 - 11) * kSize);
}

TEST(SpaceNeed, WhatIsDamagedOrOfAnotherDiskIsNotThere) {
    CatalogBuilder builder;
    add(builder, Pool::kRolling, 1, 1).state = EntryState::kDamaged;
    add(builder, Pool::kRolling, 2, 2).state = EntryState::kForeign;
    add(builder, Pool::kBackupRolling, 3, 3);
    for (const BackupPlace place : {BackupPlace::kNone, BackupPlace::kOtherDisk}) {
        EXPECT_EQ(plan_space(builder.catalog(), long_plan(place)).run.present_bytes, 0U);
    }
    EXPECT_EQ(
        plan_space(builder.catalog(), long_plan(BackupPlace::kOtherDisk)).backup.to_come_bytes,
        2 * kSize);
    EXPECT_EQ(plan_space(builder.catalog(), long_plan(BackupPlace::kRunDisk)).run.present_bytes,
              kSize);
}

TEST(SpaceNeed, AStoreAboveItsLimitsStillNeedsRoomForTheNextSave) {
    CatalogBuilder builder;
    for (std::int64_t step = 0; step < 40; ++step) {
        add(builder, Pool::kRolling, step, static_cast<std::uint64_t>(step));
    }
    EXPECT_EQ(plan_space(builder.catalog(), long_plan()).run.to_come_bytes, kSize);
}

TEST(SpaceNeed, TheMarginIsMissingToo) {
    const DiskNeed need = plan_space({}, long_plan()).run;
    EXPECT_EQ(need.missing_bytes(30 * kSize + kSpaceMarginBytes), 0U);
    EXPECT_EQ(need.missing_bytes(30 * kSize + kSpaceMarginBytes - 1), 1U);
    EXPECT_EQ(need.missing_bytes(0), 30 * kSize + kSpaceMarginBytes);
}

TEST(SpaceNeed, HugeLimitsStayTheLargestNumber) {
    SpacePlan plan = long_plan();
    plan.limits.keep_emergency = std::numeric_limits<std::int64_t>::max();
    const DiskNeed need = plan_space({}, plan).run;
    EXPECT_EQ(need.bytes, std::numeric_limits<std::uint64_t>::max());
    EXPECT_EQ(need.missing_bytes(1), std::numeric_limits<std::uint64_t>::max() - 1);
}

TEST(SpaceNeed, BackupFitsWhereItsDiskHasRoomForIt) {
    const std::uint64_t shared = 33 * kSize + kSpaceMarginBytes;
    EXPECT_TRUE(backup_fits({}, long_plan(), BackupPlace::kRunDisk, shared));
    EXPECT_FALSE(backup_fits({}, long_plan(), BackupPlace::kRunDisk, shared - 1));
    const std::uint64_t apart = 3 * kSize + kSpaceMarginBytes;
    EXPECT_TRUE(backup_fits({}, long_plan(), BackupPlace::kOtherDisk, apart));
    EXPECT_FALSE(backup_fits({}, long_plan(), BackupPlace::kOtherDisk, apart - 1));
}

}  // namespace
}  // namespace holdfast::checkpoint
