#include "checkpoint/red_flags.h"

#include <gmock/gmock.h>

#include "catalog_builder.h"

namespace holdfast::checkpoint {
namespace {

using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

void add_sized(CatalogBuilder& builder, std::int64_t step, std::uint64_t bytes) {
    builder.add(Pool::kRolling, 1, step).manifest.files = {
        {.name = "model.safetensors", .bytes = bytes, .chunks = {}, .checksum = 0}};
}

std::vector<std::string> flags_of(const CatalogBuilder& builder,
                                  const RetentionLimits& limits = {}) {
    return red_flags(builder.catalog(), limits, {});
}

TEST(RedFlags, NoneOfAStoreWithinItsLimits) {
    CatalogBuilder builder;
    EXPECT_THAT(flags_of(builder), IsEmpty());
    for (std::int64_t step = 0; step < 10; ++step) {
        builder.add(Pool::kRolling, 1, step);
        builder.add(Pool::kEpoch, 1, step);
        builder.add(Pool::kKeep, 1, step);
    }
    EXPECT_THAT(flags_of(builder), IsEmpty());
}

TEST(RedFlags, APoolAboveItsLimit) {
    CatalogBuilder builder;
    for (const std::int64_t step : {0, 1, 2}) {
        builder.add(Pool::kRolling, 1, step);
    }
    EXPECT_THAT(flags_of(builder, {.keep_rolling = 2}),
                ElementsAre("the pool rolling holds 3 checkpoints, at most 2 are to be kept"));
}

TEST(RedFlags, APoolThatGrowsOverEntriesThatOwe) {
    CatalogBuilder builder;
    for (const std::int64_t step : {0, 1, 2}) {
        builder.add(Pool::kRolling, 1, step).manifest.owed = {Pool::kKeep};
    }
    EXPECT_THAT(flags_of(builder, {.keep_rolling = 2}),
                ElementsAre("the pool rolling holds 3 checkpoints, at most 2 are to be kept; 3 "
                            "cannot go while they still owe another pool"));
}

TEST(RedFlags, TheTwoNewestDoNotCountAgainstALimit) {
    CatalogBuilder builder;
    builder.add(Pool::kEmergency, 1, 1);
    builder.add(Pool::kEmergency, 1, 2);
    EXPECT_THAT(flags_of(builder, {.keep_emergency = 1}), IsEmpty());
    builder.add(Pool::kEmergency, 1, 0);
    EXPECT_THAT(flags_of(builder, {.keep_emergency = 1}), ElementsAre(HasSubstr("holds 3")));
}

TEST(RedFlags, DamagedAndForeignAreNotCounted) {
    CatalogBuilder builder;
    for (const std::int64_t step : {0, 1, 2, 3}) {
        builder.add(Pool::kRolling, 1, step).state =
            step < 2 ? EntryState::kPublished : EntryState::kDamaged;
    }
    EXPECT_THAT(flags_of(builder, {.keep_rolling = 2}), IsEmpty());
}

TEST(RedFlags, NoneAfterThePlannedDeletionsUnlessSomethingOwes) {
    const RetentionLimits limits{.keep_rolling = 3,
                                 .keep_emergency = 1,
                                 .keep_best = 2,
                                 .keep_backup_rolling = 1,
                                 .keep_backup_best = 1};
    for (std::uint32_t seed = 0; seed < 1000; ++seed) {
        Catalog catalog = random_catalog(seed);
        for (const Deletion& deletion : plan_deletions(catalog, limits)) {
            std::erase_if(catalog.entries, [&](const Entry& entry) {
                return entry.pool == deletion.pool && entry.name == deletion.name;
            });
        }
        for (const std::string& flag : red_flags(catalog, limits, {})) {
            EXPECT_THAT(flag,
                        AnyOf(HasSubstr("still owe another pool"),
                              HasSubstr("not certain which line is the current one")))
                << seed;
        }
    }
}

TEST(RedFlags, ACheckpointUnlikeTheLastInSize) {
    for (const auto& [bytes, is_flagged] : {std::pair(2048U, false),
                                            std::pair(2049U, true),
                                            std::pair(512U, false),
                                            std::pair(511U, true)}) {
        CatalogBuilder builder;
        add_sized(builder, 1, 1);  // only the last one counts
        add_sized(builder, 2, 1024);
        add_sized(builder, 3, bytes);
        EXPECT_EQ(flags_of(builder).size(), is_flagged ? 1U : 0U) << bytes;
    }
    CatalogBuilder builder;
    add_sized(builder, 2, 1024);
    add_sized(builder, 3, 4096);
    EXPECT_THAT(flags_of(builder),
                ElementsAre("rolling/step_00000003 has 4.00 KiB, rolling/step_00000002 before it "
                            "has 1.00 KiB: the same state should take the same bytes"));
}

TEST(RedFlags, WhatASupersededLineHeldIsNotTheLast) {
    CatalogBuilder builder;
    add_sized(builder, 1, 1024);
    add_sized(builder, 5, 1);
    Entry& head = builder.add(Pool::kRolling, 2, 3, {{1, 2, "00000000000000aa"}});
    head.manifest.files = {
        {.name = "model.safetensors", .bytes = 1024, .chunks = {}, .checksum = 0}};
    EXPECT_THAT(flags_of(builder), IsEmpty());
}

TEST(RedFlags, ADeletionWithoutItsConfirmation) {
    ReclaimReport report;
    report.failures = {"deleting rolling/step_00000001: cannot rename it: busy"};
    EXPECT_THAT(red_flags({}, {}, report),
                ElementsAre("deleting rolling/step_00000001: cannot rename it: busy; tried again "
                            "after the next save"));
}

TEST(RedFlags, APoolThatCannotBeListed) {
    EXPECT_THAT(red_flags({{}, {"cannot list /run/rolling: Permission denied"}}, {}, {}),
                ElementsAre("cannot list /run/rolling: Permission denied: nothing holds this pool "
                            "to its limit until it can"));
}

}  // namespace
}  // namespace holdfast::checkpoint
