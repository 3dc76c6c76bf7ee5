// Second copies of a real run, on another file system: the newest checkpoint is damaged, or the
// whole run directory lost, and the run still ends with the bits of one never stopped.
#include <cstdlib>
#include <filesystem>
#include <string>

#include <gmock/gmock.h>

#include "cli/small_run.h"

namespace holdfast::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class SecondCopies : public SmallRun {
protected:
    SecondCopies() {
        std::string pattern = "/dev/shm/holdfast-test-XXXXXX";
        backup_ = ::mkdtemp(pattern.data()) == nullptr ? directory_ / "backup" : pattern;
    }
    ~SecondCopies() override { std::filesystem::remove_all(backup_); }

    // Trains until `max_steps` of 60 steps, with copies.
    Outcome train_to(const std::string& max_steps, const std::vector<std::string>& more = {}) {
        std::vector<std::string> options = {"--max-steps",
                                            max_steps,
                                            "--set",
                                            "schedule.steps=60",
                                            "--backup",
                                            "on",
                                            "--backup-dir",
                                            backup_};
        options.insert(options.end(), more.begin(), more.end());
        return train("copied", options);
    }
    void damage(const std::string& file) const {
        const std::string path = run_directory("copied") + '/' + file;
        std::filesystem::permissions(
            path, std::filesystem::perms::owner_write, std::filesystem::perm_options::add);
        std::string bytes = read_text(path);
        bytes.at(bytes.size() / 2) ^= 1;
        write_text(path, bytes);
    }

    std::string backup_;
};

TEST_F(SecondCopies, P2_ADamagedNewestIsRepairedAndTheRunEndsWithTheSameBits) {
    ASSERT_EQ(train("straight").exit_code, 0);
    const Outcome first = train_to("40");
    ASSERT_EQ(first.exit_code, 0) << first.log;
    ASSERT_TRUE(std::filesystem::exists(backup_ + "/rolling/step_00000040")) << first.log;
    ASSERT_TRUE(std::filesystem::exists(backup_ + "/best/step_00000040")) << first.log;
    damage("rolling/step_00000040/model.safetensors");  // and best/, which is linked to it
    const Outcome second = train_to("60");
    ASSERT_EQ(second.exit_code, 0) << second.log;
    EXPECT_THAT(second.log, HasSubstr("rolling/step_00000040 was damaged ("));
    EXPECT_THAT(second.log, HasSubstr("; repaired from backup/"));
    EXPECT_THAT(second.log, Not(HasSubstr("are lost")));
    EXPECT_THAT(second.log, HasSubstr("resumed from rolling/step_00000040 at step 40"));
    EXPECT_EQ(hash_of("copied"), hash_of("straight"));
    EXPECT_EQ(exact_lines("copied"), exact_lines("straight"));
    const Outcome verified = run_program({"checkpoints", "verify", run_directory("copied")});
    EXPECT_EQ(verified.exit_code, 0) << verified.log;
}

TEST_F(SecondCopies, P2_ALostRunDirectoryIsGoneOnWithFromTheBackup) {
    ASSERT_EQ(train("straight").exit_code, 0);
    ASSERT_EQ(train_to("40").exit_code, 0);
    std::filesystem::remove_all(run_directory("copied"));

    const Outcome automatic = train_to("60");
    EXPECT_EQ(automatic.exit_code, 3) << automatic.log;
    EXPECT_THAT(automatic.log, HasSubstr("--resume backup"));
    EXPECT_FALSE(std::filesystem::exists(run_directory("copied")));

    const Outcome resumed = train_to("60", {"--resume", "backup"});
    ASSERT_EQ(resumed.exit_code, 0) << resumed.log;
    EXPECT_THAT(resumed.log, HasSubstr("resumed from backup/rolling/step_00000040 at step 40"));
    EXPECT_EQ(hash_of("copied"), hash_of("straight"));
    EXPECT_TRUE(std::filesystem::exists(backup_ + "/rolling/step_00000060-r2")) << resumed.log;
}

TEST_F(SecondCopies, AFinishedRunThatIsLostIsPublishedAnew) {
    ASSERT_EQ(train_to("20").exit_code, 0);
    const std::string hash = hash_of("copied");
    std::filesystem::remove_all(run_directory("copied"));
    const Outcome resumed = train_to("20", {"--resume", "backup"});
    ASSERT_EQ(resumed.exit_code, 0) << resumed.log;
    EXPECT_EQ(hash_of("copied"), hash);
}

TEST_F(SecondCopies, P6_ABackupDiskThatCannotBeWrittenNeverEndsARun) {
    std::filesystem::remove_all(backup_);
    write_text(backup_, "in the way");
    const Outcome outcome = train_to("20");
    EXPECT_EQ(outcome.exit_code, 0) << outcome.log;
    EXPECT_THAT(outcome.log, HasSubstr("ALARM: no second copies can be made"));
    EXPECT_THAT(outcome.log, HasSubstr("the second copies are not complete"));
}

}  // namespace
}  // namespace holdfast::cli
