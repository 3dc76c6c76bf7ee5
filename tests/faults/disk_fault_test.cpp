// P6 on real disks: the real program on a file system that is full or fails. Where a save must run
// out at a given place, the program is stopped there, the disk is filled, and it goes on.
#include <filesystem>
#include <string>
#include <vector>

#include <signal.h>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "cli/small_run.h"
#include "faults/small_disk.h"

namespace holdfast::faults {
namespace {

namespace stdfs = std::filesystem;

// Before the first byte of a save is reserved, after the disk was asked for its free space.
constexpr const char* kSaveBegins = "fallocate */.pending-*/model.safetensors";
constexpr const char* kSaveFailed = "failed: ";
constexpr std::uint64_t kBlockBytes = 4096;

std::vector<std::string> faults(const std::string& rules) {
    return {"LD_PRELOAD=" HOLDFAST_CALL_FAULT, "HOLDFAST_CALL_FAULTS=" + rules};
}

std::uint64_t allocated_bytes(const std::string& folder) {
    std::uint64_t bytes = 0;
    for (const auto& entry : stdfs::directory_iterator(folder)) {
        bytes += (entry.file_size() + kBlockBytes - 1) / kBlockBytes * kBlockBytes;
    }
    return bytes;
}

class DiskFault : public cli::SmallRun {
protected:
    // A checkpoint of 5 MB and three of them at most, on 64 MiB.
    static std::vector<std::string> options() {
        return {"--n-layer",
                "2",
                "--n-head",
                "4",
                "--n-embd",
                "128",
                "--max-steps",
                "24",
                "--eval-interval",
                "0",
                "--keep-checkpoints",
                "2",
                "--checkpoint-freq",
                "1",
                "--backup",
                "off"};
    }
    // A later value of an option wins.
    static std::vector<std::string> with(const std::vector<std::string>& more) {
        std::vector<std::string> all = options();
        all.insert(all.end(), more.begin(), more.end());
        return all;
    }

    void expect_same_end(const std::string& name, const std::vector<std::string>& more = {}) {
        const cli::Outcome straight = train("straight", with(more));
        ASSERT_EQ(straight.exit_code, 0) << straight.log;
        EXPECT_EQ(exact_lines(name), exact_lines("straight"));
        EXPECT_EQ(hash_of(name), hash_of("straight"));
        expect_whole(name);
    }

    void expect_whole(const std::string& name) {
        const cli::Outcome verified =
            cli::run_program({"checkpoints", "verify", run_directory(name)});
        EXPECT_EQ(verified.exit_code, 0) << verified.out << verified.log;
    }

    [[nodiscard]] std::vector<std::string> left_half_made(const std::string& name) const {
        std::vector<std::string> left;
        for (const auto& entry : stdfs::recursive_directory_iterator(run_directory(name))) {
            const std::string file = entry.path().filename();
            if (file.starts_with(".pending-") || file.ends_with(".new") ||
                entry.path().parent_path().filename() == ".trash") {
                left.push_back(entry.path());
            }
        }
        return left;
    }
};

class FullDisk : public DiskFault, public testing::WithParamInterface<DiskKind> {
protected:
    void SetUp() override {
        disk_ =
            std::make_unique<SmallDisk>(GetParam(), directory_ / "disk", directory_ / "disk.image");
        if (!disk_->why_not().empty()) {
            GTEST_SKIP() << disk_->why_not();
        }
        DiskFault::SetUp();
    }

    std::unique_ptr<SmallDisk> disk_;
};

TEST_P(FullDisk, P6_AtEachEighthOfASaveCostsThatSaveOnly) {
    cli::RunningProgram program(train_words("disk/run", options()),
                                directory_.path(),
                                faults(fmt::format("{} 2 stop-on", kSaveBegins)));
    for (std::uint64_t eighth = 0; eighth <= 8; ++eighth) {
        ASSERT_TRUE(program.wait_until_stopped()) << program.finish().log;
        const std::int64_t failures = program.count_in_log(kSaveFailed);
        const std::uint64_t save_bytes = allocated_bytes(run_directory("disk/run") + "/latest/");
        // The last eighth ends with the manifest: all but its block.
        disk_->fill_leaving(eighth < 8 ? save_bytes * eighth / 8 : save_bytes - kBlockBytes);
        program.send_signal(SIGCONT);
        ASSERT_TRUE(program.wait_for_log(kSaveFailed, failures + 1)) << program.finish().log;
        disk_->free();
        ASSERT_TRUE(program.wait_until_stopped()) << program.finish().log;
        expect_whole("disk/run");
        program.send_signal(SIGCONT);
    }
    while (program.wait_until_stopped()) {
        program.send_signal(SIGCONT);
    }
    const cli::Outcome outcome = program.finish();
    EXPECT_EQ(outcome.exit_code, 0) << outcome.log;
    expect_same_end("disk/run");
}

TEST_P(FullDisk, P6_MakesRoomByTheOldestOfMany) {
    // Ten of 3 MB and the room for one more fit; eight of them make the room that a save asks for.
    const std::vector<std::string> many{"--n-embd", "96", "--keep-checkpoints", "12"};
    cli::RunningProgram program(train_words("disk/run", with(many)),
                                directory_.path(),
                                faults(fmt::format("{} 11 stop-once", kSaveBegins)));
    ASSERT_TRUE(program.wait_until_stopped()) << program.finish().log;
    disk_->fill_leaving(kBlockBytes);
    program.send_signal(SIGCONT);
    const cli::Outcome outcome = program.finish();
    EXPECT_EQ(outcome.exit_code, 0) << outcome.log;
    EXPECT_NE(outcome.log.find("to make room for a save, deleted rolling/step_00000000"),
              std::string::npos)
        << outcome.log;
    EXPECT_EQ(outcome.log.find(kSaveFailed), std::string::npos) << outcome.log;
    expect_same_end("disk/run", many);
}

TEST_P(FullDisk, P6_IsWaitedForByTheLastSave) {
    cli::RunningProgram program(train_words("disk/run", with({"--checkpoint-freq", "0"})),
                                directory_.path(),
                                faults(fmt::format("{} 2 stop-once", kSaveBegins)));
    ASSERT_TRUE(program.wait_until_stopped()) << program.finish().log;
    disk_->fill_leaving(kBlockBytes);
    program.send_signal(SIGCONT);
    ASSERT_TRUE(program.wait_for_log(kSaveFailed)) << program.finish().log;
    disk_->free();
    const cli::Outcome outcome = program.finish();
    EXPECT_EQ(outcome.exit_code, 0) << outcome.log;
    expect_same_end("disk/run");
}

TEST_P(FullDisk, P6_ToTheEndEndsWithFourAndTheRunGoesOnLater) {
    cli::RunningProgram program(train_words("disk/run", with({"--stop-deadline", "1"})),
                                directory_.path(),
                                faults(fmt::format("{} 9 stop-once", kSaveBegins)));
    ASSERT_TRUE(program.wait_until_stopped()) << program.finish().log;
    disk_->fill_leaving(kBlockBytes);
    program.send_signal(SIGCONT);
    const cli::Outcome full = program.finish();
    EXPECT_EQ(full.exit_code, 4) << full.log;
    expect_whole("disk/run");
    EXPECT_EQ(left_half_made("disk/run"), std::vector<std::string>());
    disk_->free();
    const cli::Outcome outcome = train("disk/run", with({"--resume", "latest"}));
    EXPECT_EQ(outcome.exit_code, 0) << outcome.log;
    EXPECT_NE(outcome.log.find("at step 7 "), std::string::npos) << outcome.log;
    expect_same_end("disk/run");
}

TEST_P(FullDisk, P6_FromTheFirstByteEndsTheRunWithNothingHalfMade) {
    for (const std::uint64_t left_bytes : {0U, 64U << 10U, 20U << 20U}) {
        disk_->fill_leaving(left_bytes);
        const cli::Outcome outcome = train("disk/run", options());
        EXPECT_EQ(outcome.exit_code, 4) << left_bytes << '\n' << outcome.log;
        const std::vector<std::string> lines = cli::lines_of(outcome.log);
        ASSERT_FALSE(lines.empty());
        EXPECT_TRUE(lines.back().starts_with("holdfast: error: ")) << outcome.log;
        EXPECT_NE(lines.back().find("or choose another --checkpoint-dir"), std::string::npos)
            << outcome.log;
        EXPECT_EQ(lines.back().find("checkpoint.keep"), std::string::npos)
            << "there is none that could go: " << outcome.log;
        if (stdfs::exists(run_directory("disk/run"))) {
            EXPECT_EQ(left_half_made("disk/run"), std::vector<std::string>());
        }
        disk_->free();
    }
    const cli::Outcome outcome = train("disk/run", options());
    EXPECT_EQ(outcome.exit_code, 0) << outcome.log;
    expect_same_end("disk/run");
}

INSTANTIATE_TEST_SUITE_P(Disk,
                         FullDisk,
                         testing::Values(DiskKind::kTmpfs, DiskKind::kExt4),
                         [](const auto& kind) {
                             return kind.param == DiskKind::kTmpfs ? "Tmpfs" : "Ext4";
                         });

class FailingDisk : public DiskFault {};

TEST_F(FailingDisk, P6_AFailedSyncIsASaveWrittenAnew) {
    const cli::Outcome outcome = cli::run_program(
        train_words("run", options()), faults("fsync */.pending-*/optimizer-* 3 fail-once:5"));
    EXPECT_EQ(outcome.exit_code, 0) << outcome.log;
    EXPECT_NE(outcome.log.find("warning: the save of step 2 needed a second try"),
              std::string::npos)
        << outcome.log;
    expect_same_end("run");
}

TEST_F(FailingDisk, P6_FailedSyncsToTheEndEndWithFourAndHurtNothing) {
    const cli::Outcome outcome =
        cli::run_program(train_words("run", with({"--stop-deadline", "1"})),
                         faults("fsync */.pending-*/optimizer-* 3 fail-on:5"));
    EXPECT_EQ(outcome.exit_code, 4) << outcome.log;
    expect_whole("run");
    EXPECT_EQ(left_half_made("run"), std::vector<std::string>());
    const cli::Outcome resumed = train("run", with({"--resume", "latest"}));
    EXPECT_EQ(resumed.exit_code, 0) << resumed.log;
    EXPECT_NE(resumed.log.find("at step 1 "), std::string::npos) << resumed.log;
    expect_same_end("run");
}

}  // namespace
}  // namespace holdfast::faults
