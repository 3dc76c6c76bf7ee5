// The directory of a live run goes: the real program meanwhile stands between two saves.
#include <filesystem>
#include <string>
#include <vector>

#include <signal.h>
#include <sys/mount.h>

#include <gtest/gtest.h>

#include "cli/small_run.h"
#include "faults/small_disk.h"

namespace holdfast::faults {
namespace {

namespace stdfs = std::filesystem;

class GoneDirectory : public cli::SmallRun {
protected:
    // `deadline` is how long the last save is tried again.
    static std::vector<std::string> options(const std::string& deadline = "20") {
        return {"--max-steps",
                "40",
                "--checkpoint-freq",
                "5",
                "--eval-interval",
                "0",
                "--stop-deadline",
                deadline,
                "--backup",
                "off"};
    }

    // Trains `name`; `strike` happens while the program stands before the line of step 8.
    template <typename Strike>
    cli::Outcome train_through(const std::string& name,
                               const std::string& deadline,
                               Strike strike) {
        cli::RunningProgram program(train_words(name, options(deadline)),
                                    directory_.path(),
                                    {"LD_PRELOAD=" HOLDFAST_CALL_FAULT,
                                     "HOLDFAST_CALL_FAULTS=pwrite */metrics.jsonl 8 stop-once"});
        EXPECT_TRUE(program.wait_until_stopped());
        strike();
        program.send_signal(SIGCONT);
        return program.finish();
    }

    void expect_whole(const std::string& name) {
        const cli::Outcome verified =
            cli::run_program({"checkpoints", "verify", run_directory(name)});
        EXPECT_EQ(verified.exit_code, 0) << verified.out << verified.log;
    }

    // The run is in its place again, complete, and that it went was shouted.
    void expect_made_again(const std::string& name, const cli::Outcome& outcome) {
        EXPECT_EQ(outcome.exit_code, 0) << outcome.log;
        EXPECT_NE(outcome.log.find("ALARM: "), std::string::npos) << outcome.log;
        ASSERT_EQ(train("straight", options()).exit_code, 0);
        EXPECT_EQ(hash_of(name), hash_of("straight"));
        expect_whole(name);
        EXPECT_TRUE(stdfs::exists(metrics_path(name)));
    }

    [[nodiscard]] std::vector<std::string> names_in(const std::string& name) const {
        std::vector<std::string> names;
        for (const auto& entry : stdfs::directory_iterator(run_directory(name))) {
            names.push_back(entry.path().filename());
        }
        return names;
    }
};

TEST_F(GoneDirectory, P6_RemovedIsMadeAgain) {
    const cli::Outcome outcome =
        train_through("run", "20", [&] { stdfs::remove_all(run_directory("run")); });
    expect_made_again("run", outcome);
}

TEST_F(GoneDirectory, P6_RenamedAwayIsMadeAgainAndTheOldOneStaysWhole) {
    const cli::Outcome outcome = train_through(
        "run", "20", [&] { stdfs::rename(run_directory("run"), run_directory("moved")); });
    expect_made_again("run", outcome);
    expect_whole("moved");
    EXPECT_FALSE(stdfs::exists(run_directory("moved") + "/rolling/step_00000010"));
}

TEST_F(GoneDirectory, P6_AnotherInItsPlaceIsNotWrittenTo) {
    const cli::Outcome outcome = train_through("run", "1", [&] {
        stdfs::rename(run_directory("run"), run_directory("moved"));
        stdfs::create_directory(run_directory("run"));
        cli::write_text(run_directory("run") + "/letter", "not a run");
    });
    EXPECT_EQ(outcome.exit_code, 4) << outcome.log;
    EXPECT_NE(outcome.log.find("ALARM: "), std::string::npos) << outcome.log;
    EXPECT_EQ(
        std::distance(stdfs::directory_iterator(run_directory("run")), stdfs::directory_iterator()),
        1);
    expect_whole("moved");
}

class GoneMount : public GoneDirectory {
protected:
    void SetUp() override {
        if (!disk_.why_not().empty()) {
            GTEST_SKIP() << disk_.why_not();
        }
        GoneDirectory::SetUp();
    }

    SmallDisk disk_{DiskKind::kTmpfs, directory_ / "disk", ""};
};

TEST_F(GoneMount, P6_IsNeverReplacedByAFolder) {
    const cli::Outcome outcome = train_through("disk/run", "1", [&] { disk_.unmount(); });
    EXPECT_EQ(outcome.exit_code, 4) << outcome.log;
    EXPECT_NE(outcome.log.find("ALARM: "), std::string::npos) << outcome.log;
    EXPECT_TRUE(stdfs::is_empty(disk_.path()));
}

TEST_F(GoneMount, P6_ThatComesBackIsSavedToAgain) {
    cli::RunningProgram program(train_words("disk/run", options()),
                                directory_.path(),
                                {"LD_PRELOAD=" HOLDFAST_CALL_FAULT,
                                 "HOLDFAST_CALL_FAULTS=pwrite */metrics.jsonl 8 stop-once"});
    ASSERT_TRUE(program.wait_until_stopped());
    const std::string aside = directory_ / "aside";
    stdfs::create_directory(aside);
    ASSERT_EQ(::mount(disk_.path().c_str(), aside.c_str(), nullptr, MS_BIND, nullptr), 0);
    disk_.unmount();
    program.send_signal(SIGCONT);
    EXPECT_TRUE(program.wait_for_log("ALARM: "));
    EXPECT_EQ(::mount(aside.c_str(), disk_.path().c_str(), nullptr, MS_BIND, nullptr), 0);
    const cli::Outcome outcome = program.finish();
    EXPECT_EQ(outcome.exit_code, 0) << outcome.log;
    expect_whole("disk/run");
    for (const std::string& mounted : {disk_.path(), aside}) {
        EXPECT_EQ(::umount2(mounted.c_str(), MNT_DETACH), 0);
    }
}

}  // namespace
}  // namespace holdfast::faults
