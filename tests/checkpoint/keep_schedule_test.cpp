#include "checkpoint/keep_schedule.h"

#include <gtest/gtest.h>

#include "catalog_builder.h"

namespace holdfast::checkpoint {
namespace {

TEST(KeepSchedule, KeepsTheFirstSaveAtOrAfterEachMultiple) {
    CatalogBuilder builder;
    builder.add(Pool::kRolling, 1, 0);
    EXPECT_FALSE(keep_is_due(builder.catalog(), 999, 1000));
    EXPECT_TRUE(keep_is_due(builder.catalog(), 1000, 1000));
    builder.add(Pool::kKeep, 1, 1100);
    EXPECT_FALSE(keep_is_due(builder.catalog(), 1250, 1000));
    EXPECT_TRUE(keep_is_due(builder.catalog(), 2100, 1000));
    builder.add(Pool::kRolling, 1, 2100).manifest.owed = {Pool::kKeep};
    EXPECT_FALSE(keep_is_due(builder.catalog(), 2200, 1000)) << "owed is as good as kept";
    EXPECT_TRUE(keep_is_due(Catalog{}, 1000, 1000));
    EXPECT_FALSE(keep_is_due(Catalog{}, 1000, 0));
}

TEST(KeepSchedule, WhatARollbackSupersededDoesNotCount) {
    CatalogBuilder builder;
    builder.add(Pool::kKeep, 1, 1000);
    builder.add(Pool::kRolling, 2, 500, {{1, 500, "00000000000000aa"}});
    EXPECT_TRUE(keep_is_due(builder.catalog(), 1000, 1000));
}

}  // namespace
}  // namespace holdfast::checkpoint
