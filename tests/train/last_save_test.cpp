#include "train/last_save.h"

#include "train/saver_fixture.h"

namespace holdfast::train {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class LastSaveTest : public SaverFixture {
protected:
    LastSave save_last_of(std::int64_t step, double writing_seconds, double retrying_seconds) {
        return save_last(*saver_, step, {writing_seconds, retrying_seconds}, [&] {
            ASSERT_TRUE(save(step, checkpoint::Pool::kEmergency));
        });
    }
};

TEST_F(LastSaveTest, StepThatIsSavedIsNotSavedAgain) {
    ASSERT_TRUE(save(3));
    const LastSave last = save_last_of(3, much_later(), much_later());
    EXPECT_EQ(last.kind, LastSaveKind::kSaved);
    EXPECT_EQ(last.words, "step 3 is saved as rolling/step_00000003");
    EXPECT_THAT(labels(), ElementsAre("rolling/step_00000003"));
}

TEST_F(LastSaveTest, StepThatIsNotSavedIs) {
    ASSERT_TRUE(save(3));
    const LastSave last = save_last_of(4, much_later(), much_later());
    EXPECT_EQ(last.kind, LastSaveKind::kSaved);
    EXPECT_THAT(last.words, HasSubstr("step 4 is saved as emergency/step_00000004_"));
}

TEST_F(LastSaveTest, SaveThatDoesNotFitTheDeadlineIsNotBegun) {
    ASSERT_TRUE(save(3));
    ASSERT_TRUE(saver_->settle());
    ASSERT_GT(saver_->expected_write_seconds(), 0.0);
    const LastSave last = save_last_of(4, base::monotonic_seconds(), 0.0);
    EXPECT_EQ(last.kind, LastSaveKind::kNoTime);
    EXPECT_THAT(last.words, HasSubstr("the newest checkpoint is rolling/step_00000003"));
    EXPECT_EQ(saver_->newest_step(), 3);
}

TEST_F(LastSaveTest, HangingDiskDoesNotHoldTheProcessBeyondTheDeadline) {
    ASSERT_TRUE(save(3));
    ASSERT_TRUE(saver_->settle());
    faults_.close_gate(fs::Operation::kSync);
    ASSERT_TRUE(save(4));
    const LastSave last = save_last_of(5, soon(), soon());
    EXPECT_EQ(last.kind, LastSaveKind::kStillWriting);
    EXPECT_THAT(last.words, HasSubstr("at work on the save of step 4"));
    EXPECT_THAT(last.words, HasSubstr("the newest checkpoint is rolling/step_00000003"));
}

TEST_F(LastSaveTest, P6_FullDiskIsWaitedForUntilTheDeadline) {
    fill_disk();
    const LastSave never = save_last_of(4, much_later(), soon());
    EXPECT_EQ(never.kind, LastSaveKind::kFailed);
    EXPECT_THAT(never.words, HasSubstr("No space left"));
    faults_.disarm();
    // The save of this very step is waiting: it is tried again, not made anew.
    const LastSave last = save_last_of(4, much_later(), much_later());
    EXPECT_EQ(last.kind, LastSaveKind::kSaved);
    EXPECT_EQ(saver_->failed_saves(), 1);
}

TEST_F(LastSaveTest, StateThatIsNotFiniteIsNotWaitedFor) {
    ASSERT_TRUE(
        saver_->save([&] { capture(4, std::numeric_limits<double>::infinity()); }, order(4)));
    const LastSave last = save_last_of(4, much_later(), much_later());
    EXPECT_EQ(last.kind, LastSaveKind::kFailed);
    EXPECT_THAT(last.words, HasSubstr("is not finite"));
}

}  // namespace
}  // namespace holdfast::train
