#include "checkpoint/checkpoint_name.h"

#include <set>

#include <gtest/gtest.h>

namespace holdfast::checkpoint {
namespace {

TEST(CheckpointName, PrintsTheGrammar) {
    EXPECT_EQ(to_string(name_in_pool(Pool::kRolling, 250, 0, 1, 0)), "step_00000250");
    EXPECT_EQ(to_string(name_in_pool(Pool::kBest, 500, 0, 2, 0)), "step_00000500-r2");
    EXPECT_EQ(to_string(name_in_pool(Pool::kEpoch, 500, 1, 1, 0)), "epoch_00001");
    EXPECT_EQ(to_string(name_in_pool(Pool::kEmergency, 312, 0, 1, 1795356301)),
              "step_00000312_20261122_140501");
    EXPECT_EQ(to_string(name_in_pool(Pool::kKeep, 123'456'789, 0, 1, 0)), "step_123456789");
}

TEST(CheckpointName, ReadsBackWhatItPrints) {
    for (const std::int64_t number : {std::int64_t{0}, std::int64_t{99'999'999}, INT64_MAX}) {
        for (const std::int64_t lineage : {1, 2, 17}) {
            for (const std::int64_t suffix : {1, 2, 300}) {
                for (const Pool pool : kAllPools) {
                    CheckpointName name = name_in_pool(pool, number, number, lineage, 1795356301);
                    name.suffix = suffix;
                    EXPECT_EQ(parse_checkpoint_name(to_string(name)), name) << to_string(name);
                }
            }
        }
    }
}

TEST(CheckpointName, RefusesEveryOtherForm) {
    for (const auto* text : {"",
                             "step_",
                             "step_250",
                             "step_0000250",
                             "step_00000250-r1",
                             "step_00000250-r02",
                             "step_00000250.1",
                             "step_00000250.",
                             "step_00000250-r",
                             "step_00000250 ",
                             "step_00000250.2-r2",
                             "step_000000250",
                             "Step_00000250",
                             "epoch_1",
                             "epoch_000001",
                             "step_00000250_20261122",
                             "step_00000250_20261122_14050",
                             "step_99999999999999999999",
                             "checkpoint",
                             "step_-0000250",
                             "epoch_00001_20261122_140501"}) {
        EXPECT_FALSE(parse_checkpoint_name(text)) << text;
    }
}

TEST(CheckpointName, PoolsReadBack) {
    for (const Pool pool : kAllPools) {
        EXPECT_EQ(parse_pool(to_string(pool)), pool);
    }
    EXPECT_FALSE(parse_pool("backup"));
}

TEST(CheckpointName, SaveIdsAreNewAndPendingNamesReadBack) {
    std::set<std::string> ids;
    for (int i = 0; i < 1000; ++i) {
        const std::string id = make_save_id();
        EXPECT_TRUE(is_save_id(id));
        EXPECT_EQ(parse_pending_name(pending_name(id)), id);
        ids.insert(id);
    }
    EXPECT_EQ(ids.size(), 1000U);
    EXPECT_FALSE(parse_pending_name(".pending-xyz"));
}

TEST(CheckpointName, SiblingRunsAreRecognised) {
    const std::string sibling = sibling_run_name("shakespeare", 1795356301);
    EXPECT_EQ(sibling, "shakespeare_run_20261122_140501");
    EXPECT_TRUE(is_sibling_run_name(sibling, "shakespeare"));
    EXPECT_FALSE(is_sibling_run_name("shakespeare", "shakespeare"));
    EXPECT_FALSE(is_sibling_run_name("shakespeare_run_2", "shakespeare"));
    EXPECT_FALSE(is_sibling_run_name(sibling, "other"));
}

}  // namespace
}  // namespace holdfast::checkpoint
