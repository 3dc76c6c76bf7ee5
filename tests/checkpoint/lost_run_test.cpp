// A run whose directory is gone, with second copies on another disk.

#include <gmock/gmock.h>

#include "checkpoint/backup_writer.h"
#include "checkpoint/run_choice.h"
#include "checkpoint_fixture.h"

namespace holdfast::checkpoint {
namespace {

using base::ErrorKind;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;

class LostRun : public RunFixture {
protected:
    // The run on the disk of the temporary folder, the copies in memory: two file systems.
    LostRun() : backup_(memory_directory()) {
        if (backup_.empty()) {
            backup_ = temporary_ / "backup";
        }
        const auto opened = open_run(*file_system_, with_backup("auto"), shared_buffers());
        EXPECT_TRUE(opened.ok());
        for (const std::int64_t step : {0, 250}) {
            EXPECT_TRUE(save(opened.value().run, step).ok());
        }
        BackupWriter writer(opened.value().run, {});
        EXPECT_TRUE(writer.finish(std::nullopt));
        EXPECT_EQ(writer.status().copied, 1);
    }
    ~LostRun() override { std::filesystem::remove_all(backup_); }

    [[nodiscard]] OpenRunOptions with_backup(const std::string& resume) const {
        OpenRunOptions result = options(resume);
        result.backup_dir = backup_;
        return result;
    }
    base::Result<OpenedRun> open_with_backup(const std::string& resume) {
        return open_run(*file_system_, with_backup(resume), shared_buffers());
    }

    std::string backup_;
};

TEST_F(LostRun, AutoNamesTheBackupAndMakesNothing) {
    std::filesystem::remove_all(dir_);
    for (const auto* resume : {"auto", "latest", "best", "250"}) {
        const auto opened = open_with_backup(resume);
        ASSERT_FALSE(opened.ok()) << resume;
        EXPECT_EQ(opened.error().kind, ErrorKind::kNotFound) << resume;
        EXPECT_THAT(opened.error().what,
                    AllOf(HasSubstr("--resume backup"), HasSubstr(backup_), HasSubstr("step 250")));
        EXPECT_FALSE(std::filesystem::exists(dir_));
    }
}

TEST_F(LostRun, AnEmptyDirectoryOrOneWithoutCheckpointsHoldsNothingOfTheRun) {
    std::filesystem::remove_all(in_run("rolling"));
    EXPECT_THAT(open_with_backup("auto").error().what, HasSubstr("--resume backup"));
    std::filesystem::remove_all(dir_);
    std::filesystem::create_directory(dir_);
    EXPECT_THAT(open_with_backup("auto").error().what, HasSubstr("--resume backup"));
    EXPECT_TRUE(std::filesystem::is_empty(dir_));
}

TEST_F(LostRun, P1_ResumeBackupPublishesTheStateAnewInTheDirectory) {
    std::filesystem::remove_all(dir_);
    {
        const auto opened = open_with_backup("backup");
        ASSERT_TRUE(opened.ok()) << opened.error().what;
        EXPECT_FALSE(opened.value().fresh);
        TinyState state;
        const auto resumed =
            resume_load(opened.value(), parse_resume_request("backup").value(), load_into(state));
        ASSERT_TRUE(resumed.ok()) << resumed.error().what;
        EXPECT_EQ(state, TinyState::of_step(250));
        EXPECT_FALSE(resumed.value().is_head);
        Manifest manifest = tiny_manifest(opened.value().run.identity().run_id, 250);
        begin_lineage(manifest, resumed.value().entry.manifest, resumed.value().next_lineage);
        const auto published = save(opened.value().run, manifest);
        ASSERT_TRUE(published.ok()) << published.error().what;
        EXPECT_EQ(published.value().name, "step_00000250-r2");
        // The root is still this run's.
        BackupWriter writer(opened.value().run, {});
        EXPECT_TRUE(writer.finish(std::nullopt));
        EXPECT_EQ(writer.status().newest, "backup/rolling/step_00000250-r2");
    }
    const auto again = open_with_backup("auto");
    ASSERT_TRUE(again.ok()) << again.error().what;
    TinyState state;
    const auto resumed =
        resume_load(again.value(), parse_resume_request("auto").value(), load_into(state));
    EXPECT_TRUE(resumed.value().is_head);
    EXPECT_EQ(resumed.value().entry.label(), "rolling/step_00000250-r2");
}

TEST_F(LostRun, ADirectoryThatAnotherRunHasTakenIsLeftAlone) {
    std::filesystem::remove_all(dir_);
    {
        OpenRunOptions other = options();
        other.identity.config = R"({"model":{"n_layer":3}})";
        other.differences = [](const RunIdentity&) { return std::vector<std::string>{}; };
        const auto opened = open_run(*file_system_, other, shared_buffers());
        Manifest manifest = tiny_manifest(opened.value().run.identity().run_id, 7);
        manifest.config = other.identity.config;
        ASSERT_TRUE(save(opened.value().run, manifest).ok());
    }
    EXPECT_THAT(open_with_backup("auto").error().what, HasSubstr("--resume backup"));
    const auto opened = open_with_backup("backup");
    ASSERT_TRUE(opened.ok()) << opened.error().what;
    EXPECT_NE(opened.value().run.paths().directory, dir_);
    EXPECT_THAT(labels(), ::testing::ElementsAre("rolling/step_00000007"));
}

TEST_F(LostRun, CopiesOfAnotherRunSayNothing) {
    std::filesystem::remove_all(dir_);
    OpenRunOptions other = with_backup("auto");
    other.differences = [](const RunIdentity&) { return std::vector<std::string>{"the seed"}; };
    const auto opened = open_run(*file_system_, other, shared_buffers());
    ASSERT_TRUE(opened.ok()) << opened.error().what;
    EXPECT_TRUE(opened.value().fresh);
}

TEST_F(LostRun, P7_ABackupRootIsNoRunDirectory) {
    OpenRunOptions wrong = options();
    wrong.directory = backup_;
    EXPECT_EQ(open_run(*file_system_, wrong, shared_buffers()).error().kind, ErrorKind::kInvalid);
    EXPECT_THAT(open(backup_).error().what, HasSubstr("--backup-dir"));
}

TEST_F(LostRun, OpeningARunDoesNotTouchTheOtherDisk) {
    const std::string pending = backup_ + "/.pending-0123456789abcdef";
    std::filesystem::create_directory(pending);
    ASSERT_TRUE(open_with_backup("auto").ok());
    EXPECT_TRUE(std::filesystem::exists(pending)) << "it may be another run's";
}

}  // namespace
}  // namespace holdfast::checkpoint
