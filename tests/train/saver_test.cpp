#include "train/saver.h"

#include <limits>
#include <new>

#include <fcntl.h>

#include <stdio.h>

#include "base/error.h"
#include "train/saver_fixture.h"

namespace holdfast::train {
namespace {

using base::LogLevel;
using checkpoint::Pool;
using testing::ElementsAre;

class SaverTest : public SaverFixture {};

TEST_F(SaverTest, P6_SaveThatFailsIsPublishedOnceTheDiskTakesIt) {
    fill_disk();
    ASSERT_TRUE(save(1));
    ASSERT_TRUE(saver_->settle(much_later()));
    EXPECT_EQ(saver_->last_good_step(), -1);
    EXPECT_EQ(saver_->last_outcome()->error->kind, base::ErrorKind::kNoSpace);
    EXPECT_FALSE(saver_->wait_published(soon()));
    EXPECT_EQ(count_logged(LogLevel::kAlarm, "the save of step 1 failed"), 1U);

    faults_.disarm();
    EXPECT_TRUE(saver_->wait_published(much_later()));
    EXPECT_EQ(saver_->last_good_step(), 1);
    EXPECT_EQ(saver_->failed_saves(), 1);
    EXPECT_THAT(labels(), ElementsAre("rolling/step_00000001"));
    EXPECT_EQ(step_inside("rolling/step_00000001"), 1.0F);
}

TEST_F(SaverTest, P1_ACaptureThatFailsIsNoSave) {
    ASSERT_TRUE(save(1));
    ASSERT_TRUE(saver_->settle(much_later()));
    EXPECT_THROW(static_cast<void>(saver_->save([] { throw std::bad_alloc(); }, order(2))),
                 std::bad_alloc);
    EXPECT_EQ(saver_->last_good_step(), 1);
    EXPECT_EQ(saver_->newest_step(), 1);
    EXPECT_EQ(saver_->in_flight_seconds(), 0);
    EXPECT_TRUE(saver_->settle(much_later()));
    // The next one does not wait for it.
    ASSERT_TRUE(save(3));
    ASSERT_TRUE(saver_->settle(much_later()));
    EXPECT_THAT(labels(), ElementsAre("rolling/step_00000001", "rolling/step_00000003"));
}

TEST_F(SaverTest, P6_NewerSaveTakesThePlaceOfOneThatWaitsAndOfItsEpoch) {
    fill_disk();
    ASSERT_TRUE(save(1, Pool::kEpoch));
    ASSERT_TRUE(saver_->settle(much_later()));
    ASSERT_TRUE(save(2));
    ASSERT_TRUE(saver_->settle(much_later()));
    EXPECT_EQ(saver_->failed_saves(), 2);

    faults_.disarm();
    EXPECT_TRUE(saver_->wait_published(much_later()));
    EXPECT_THAT(labels(), ElementsAre("epoch/epoch_00001", "rolling/step_00000002"));
    EXPECT_EQ(step_inside("epoch/epoch_00001"), 2.0F);
}

TEST_F(SaverTest, P6_ErrorOfAMomentIsTriedAgainAtOnceUnderAnotherId) {
    faults_.arm({.operation = fs::Operation::kSync, .path_part = "model", .os_errno = EIO});
    ASSERT_TRUE(save(1));
    ASSERT_TRUE(saver_->settle(much_later()));
    EXPECT_EQ(saver_->last_good_step(), 1);
    EXPECT_EQ(saver_->failed_saves(), 0);
    EXPECT_EQ(count_logged(LogLevel::kWarning, "needed a second try"), 1U);
    EXPECT_THAT(labels(), ElementsAre("rolling/step_00000001"));
}

TEST_F(SaverTest, P6_FullDiskMakesRoomAndTheSaveIsTriedAgainAtOnce) {
    for (const std::int64_t step : {1, 2, 3, 4}) {
        ASSERT_TRUE(save(step));
        ASSERT_TRUE(saver_->settle(much_later()));
    }
    // The disk has space, so this is a quota: all that the save needs is freed, which is all there
    // is but the two newest.
    faults_.arm({.operation = fs::Operation::kReserve, .path_part = "model", .os_errno = EDQUOT});
    ASSERT_TRUE(save(5));
    ASSERT_TRUE(saver_->settle(much_later()));
    EXPECT_THAT(
        labels(),
        ElementsAre("rolling/step_00000003", "rolling/step_00000004", "rolling/step_00000005"));
    EXPECT_EQ(count_logged(LogLevel::kInfo, "to make room for a save, deleted"), 1U);
    EXPECT_EQ(saver_->failed_saves(), 0);
}

TEST_F(SaverTest, PoolAboveItsLimitIsShouted) {
    faults_.arm({.operation = fs::Operation::kRename,
                 .path_part = ".trash",
                 .os_errno = EIO,
                 .for_ever = true});
    for (std::int64_t step = 1; step <= 11; ++step) {
        ASSERT_TRUE(save(step));
        ASSERT_TRUE(saver_->settle(much_later()));
    }
    EXPECT_EQ(count_logged(LogLevel::kAlarm, "the pool rolling holds 11 checkpoints"), 1U);
    EXPECT_GE(count_logged(LogLevel::kAlarm, "tried again after the next save"), 1U);
    faults_.disarm();
    ASSERT_TRUE(save(12));
    ASSERT_TRUE(saver_->settle(much_later()));
    EXPECT_EQ(labels().size(), 10U);
}

TEST_F(SaverTest, PoolOfASaveThatWaitsIsJoinedWithIt) {
    fill_disk();
    ASSERT_TRUE(save(1));
    ASSERT_TRUE(saver_->settle(much_later()));
    saver_->link_last_save(Pool::kBest);
    ASSERT_TRUE(saver_->settle(much_later()));
    faults_.disarm();
    EXPECT_TRUE(saver_->wait_published(much_later()));
    EXPECT_THAT(labels(), ElementsAre("best/step_00000001", "rolling/step_00000001"));
}

TEST_F(SaverTest, P6_LinkThatFailsIsTriedAgain) {
    ASSERT_TRUE(save(1));
    ASSERT_TRUE(saver_->settle(much_later()));
    faults_.arm({.operation = fs::Operation::kHardLink, .os_errno = EIO, .for_ever = true});
    saver_->link_last_save(Pool::kBest);
    ASSERT_TRUE(saver_->settle(much_later()));
    EXPECT_THAT(labels(), ElementsAre("rolling/step_00000001"));
    EXPECT_EQ(count_logged(LogLevel::kAlarm, "does not join the pool best"), 1U);
    faults_.disarm();
    EXPECT_TRUE(eventually([&] { return labels().size() == 2; }));
    EXPECT_THAT(labels(), ElementsAre("best/step_00000001", "rolling/step_00000001"));
}

TEST_F(SaverTest, P1_StateThatIsNotFiniteIsNeverPublished) {
    ASSERT_TRUE(save(1));
    ASSERT_TRUE(
        saver_->save([&] { capture(2, std::numeric_limits<double>::quiet_NaN()); }, order(2)));
    ASSERT_TRUE(saver_->settle(much_later()));
    ASSERT_TRUE(saver_->poison());
    EXPECT_NE(saver_->poison()->find("nan at element 0"), std::string::npos) << *saver_->poison();
    EXPECT_EQ(saver_->last_good_step(), 1);
    EXPECT_THAT(labels(), ElementsAre("rolling/step_00000001"));
}

TEST_F(SaverTest, GivesUpWaitingForTheDiskWhenAsked) {
    faults_.close_gate(fs::Operation::kSync);
    ASSERT_TRUE(save(1));
    EXPECT_FALSE(saver_->save([] { FAIL() << "captured while the snapshot is being written"; },
                              order(2),
                              [] { return true; }));
    EXPECT_GT(saver_->in_flight_seconds(), 0.0);
    EXPECT_FALSE(saver_->settle(soon()));
    faults_.open_gate();
    EXPECT_TRUE(saver_->settle(much_later()));
    EXPECT_EQ(saver_->newest_step(), 1);
}

TEST_F(SaverTest, DirectoryThatWasDeletedIsMadeAgainWithItsLog) {
    telemetry::StepMetrics metrics;
    metrics.step = 1;
    metrics.loss = 2.5;
    metrics_log_->append(metrics);
    ASSERT_TRUE(save(1));
    ASSERT_TRUE(saver_->settle(much_later()));
    // In one movement: file by file it could be made again in the middle.
    std::filesystem::rename(run_directory(), temporary_ / "gone");
    ASSERT_TRUE(eventually([&] { return saver_->take_save_wanted(); }));

    metrics.step = 2;
    metrics_log_->append(metrics);
    ASSERT_TRUE(save(2));
    ASSERT_TRUE(saver_->settle(much_later()));
    EXPECT_THAT(labels(), ElementsAre("rolling/step_00000002"));
    EXPECT_EQ(count_logged(LogLevel::kAlarm, "was deleted while this run was using it"), 1U);
    const auto log = telemetry::MetricsLog::open(fs::real_file_system(), in_run("metrics.jsonl"));
    EXPECT_EQ(log.value()->position(), metrics_log_->position());
}

TEST_F(SaverTest, DirectoryThatWasReplacedIsLeftAlone) {
    ASSERT_TRUE(save(1));
    ASSERT_TRUE(saver_->settle(much_later()));
    const std::string other = temporary_ / "other";
    std::filesystem::create_directory(other);
    // In one movement: between two the saver would find the place free and make it again.
    ASSERT_EQ(
        ::renameat2(AT_FDCWD, other.c_str(), AT_FDCWD, run_directory().c_str(), RENAME_EXCHANGE),
        0);
    ASSERT_TRUE(save(2));
    ASSERT_TRUE(saver_->settle(much_later()));
    EXPECT_EQ(saver_->last_good_step(), 1);
    EXPECT_TRUE(std::filesystem::is_empty(run_directory()));
    EXPECT_TRUE(eventually([&] { return count_logged(LogLevel::kAlarm, "was replaced by") > 0; }));

    ASSERT_EQ(
        ::renameat2(AT_FDCWD, other.c_str(), AT_FDCWD, run_directory().c_str(), RENAME_EXCHANGE),
        0);
    EXPECT_TRUE(saver_->wait_published(much_later()));
    EXPECT_THAT(labels(), ElementsAre("rolling/step_00000001", "rolling/step_00000002"));
}

}  // namespace
}  // namespace holdfast::train
