// What a run says of its disk before it trains.
#include <filesystem>

#include <gmock/gmock.h>

#include "cli/small_run.h"

namespace holdfast::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// More checkpoints than any disk takes.
const std::vector<std::string> kTooMany = {"--keep-emergency", "1000000000000", "--backup", "auto"};

class DiskCheck : public SmallRun {
protected:
    Outcome train_more(std::vector<std::string> options, const std::vector<std::string>& more) {
        options.insert(options.end(), more.begin(), more.end());
        return train("run", options);
    }
    static std::string line_of(const Outcome& outcome, const std::string& begin) {
        for (const std::string& line : lines_of(outcome.log)) {
            if (line.starts_with(begin)) {
                return line;
            }
        }
        return "no line " + begin + " in " + outcome.log;
    }
};

TEST_F(DiskCheck, TellsWhatTheWholeRunNeeds) {
    const Outcome first = train("run", {"--max-steps", "40", "--backup", "off"});
    ASSERT_EQ(first.exit_code, 0) << first.log;
    EXPECT_THAT(line_of(first, "disk "),
                HasSubstr(" needed for the whole run (4 rolling, 1 being written, 10 emergency, "
                          "2 best, 1 epoch), "));
    EXPECT_EQ(line_of(first, "backup "), "backup  off");
    const Outcome resumed = train("run", {"--max-steps", "60", "--backup", "off"});
    ASSERT_EQ(resumed.exit_code, 0) << resumed.log;
    EXPECT_THAT(line_of(resumed, "disk "), HasSubstr("2 best, 2 epoch), "));
    EXPECT_THAT(line_of(resumed, "disk "), HasSubstr(" there, "));
}

TEST_F(DiskCheck, ADiskThatIsShortIsAWarningWithAdvice) {
    const Outcome outcome = train_more(kTooMany, {"--max-steps", "10"});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.log;
    EXPECT_THAT(outcome.log, HasSubstr("is too small for the whole run"));
    EXPECT_THAT(outcome.log,
                HasSubstr("lower --keep-checkpoints and --keep-emergency-checkpoints"));
    EXPECT_THAT(line_of(outcome, "backup "), HasSubstr("off: not enough room"));
}

TEST_F(DiskCheck, P7_OrEndsTheProgramBeforeAnythingIsTrained) {
    const Outcome outcome = train_more(kTooMany, {"--on-disk-short", "refuse"});
    EXPECT_EQ(outcome.exit_code, 1) << outcome.log;
    EXPECT_THAT(outcome.log, HasSubstr("nothing was trained"));
    EXPECT_TRUE(std::filesystem::is_empty(run_directory("run") + "/rolling"));
}

TEST_F(DiskCheck, BackupsAreOnWhereThereIsRoom) {
    const Outcome outcome = train("run", {"--max-steps", "10", "--backup-dir", directory_ / "b"});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.log;
    EXPECT_EQ(line_of(outcome, "backup "), "backup  on: second copies in " + (directory_ / "b"));
    EXPECT_THAT(line_of(outcome, "disk "), HasSubstr("1 backup/rolling"));
}

TEST_F(DiskCheck, TheDiskIsWatchedAtThePercentAskedFor) {
    const Outcome outcome = train(
        "run", {"--max-steps", "10", "--disk-warn-percent", "off", "--disk-alert-percent", "off"});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.log;
    EXPECT_THAT(outcome.log, Not(HasSubstr("% full")));
}

}  // namespace
}  // namespace holdfast::cli
