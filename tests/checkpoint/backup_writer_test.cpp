#include "checkpoint/backup_writer.h"

#include <mutex>

#include <gmock/gmock.h>

#include "base/log.h"
#include "checkpoint_fixture.h"
#include "gated_disk.h"

namespace holdfast::checkpoint {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

class BackupWriterTest : public RunFixture {
protected:
    BackupWriterTest() : RunFixture(Place::kMemory), backup_(dir_ + "_backup") {
        disk_.let_syncs_reach_disk(false);
        file_system_ = &disk_;
        base::capture_log([this](base::LogLevel level, std::string_view text) {
            const std::scoped_lock lock(log_mutex_);
            log_.emplace_back(level == base::LogLevel::kAlarm ? "ALARM " : "");
            log_.back() += text;
        });
    }
    ~BackupWriterTest() override {
        base::capture_log(nullptr);
        std::filesystem::remove_all(backup_);
    }

    // A run with its copies elsewhere.
    base::Result<OpenedRun> open_run_with_backup() {
        OpenRunOptions elsewhere = options();
        elsewhere.backup_dir = backup_;
        return open_run(disk_, elsewhere, shared_buffers());
    }
    std::vector<std::string> copies() {
        std::vector<std::string> labels;
        for (const Entry& entry :
             scan_pools(disk_, RunPaths{dir_, backup_}, {}, kBackupPools).entries) {
            auto reader = Reader::open(disk_, entry.path);
            const bool sound = reader.ok() && reader.value().verify(1).ok();
            labels.push_back(entry.label() + (sound ? "" : " (damaged)"));
        }
        return labels;
    }
    std::vector<std::string> alarms() {
        const std::scoped_lock lock(log_mutex_);
        std::vector<std::string> alarms;
        for (const std::string& line : log_) {
            if (line.starts_with("ALARM ")) {
                alarms.push_back(line);
            }
        }
        return alarms;
    }

    GatedDisk disk_{fs::real_file_system()};
    std::string backup_;
    std::mutex log_mutex_;
    std::vector<std::string> log_;
};

TEST_F(BackupWriterTest, CopiesTheNewestAndTheBestAndKeepsOneOfEach) {
    const auto opened = open_run_with_backup();
    const RunDirectory& run = opened.value().run;
    BackupWriter writer(run, {});
    writer.wait();
    const auto first = save(run, 250).value();
    const auto best = run.link(first, Pool::kBest, shared_buffers()).value();
    writer.offer(first);
    writer.offer(best);
    writer.wait();
    EXPECT_THAT(copies(), ElementsAre("backup/rolling/step_00000250", "backup/best/step_00000250"));
    writer.offer(save(run, 500).value());
    writer.offer(save(run, 600, Pool::kEmergency).value());
    writer.wait();
    EXPECT_THAT(copies(), ElementsAre("backup/best/step_00000250", "backup/rolling/step_00000500"));
    const BackupStatus status = writer.status();
    EXPECT_EQ(status.copied, 3);
    EXPECT_EQ(status.skipped + status.failed + status.abandoned, 0);
    EXPECT_EQ(status.seconds_behind, 0);
    EXPECT_EQ(status.newest, "backup/rolling/step_00000500");
    EXPECT_THAT(alarms(), IsEmpty());
    const auto file = [&](const std::string& entry) {
        return disk_.status(entry + "/model.safetensors").value();
    };
    EXPECT_EQ(file(backup_ + "/rolling/step_00000500").link_count, 1U);
    EXPECT_EQ(file(backup_ + "/best/step_00000250").link_count, 1U);
    EXPECT_TRUE(std::filesystem::is_empty(backup_ + "/.trash"));
}

TEST_F(BackupWriterTest, MakesWhatIsMissingWhenARunStarts) {
    const auto opened = open_run_with_backup();
    const RunDirectory& run = opened.value().run;
    const auto first = save(run, 250).value();
    const auto best = run.link(first, Pool::kBest, shared_buffers()).value();
    ASSERT_TRUE(save(run, 500).ok());
    {
        BackupWriter writer(run, {});
        EXPECT_TRUE(writer.finish(std::nullopt));
        EXPECT_EQ(writer.status().copied, 2);
    }
    EXPECT_THAT(copies(), ElementsAre("backup/best/step_00000250", "backup/rolling/step_00000500"));
    BackupWriter again(run, {});
    again.offer(best);
    EXPECT_TRUE(again.finish(std::nullopt));
    EXPECT_EQ(again.status().copied, 0) << "they are there";
}

TEST_F(BackupWriterTest, P5_AnOfferNeverWaitsAndAnOvertakenOneIsSkipped) {
    const auto opened = open_run_with_backup();
    const RunDirectory& run = opened.value().run;
    BackupWriter writer(run, {});
    writer.wait();
    disk_.close_gate(backup_);
    writer.offer(save(run, 250).value());
    disk_.wait_until_somebody_waits();
    writer.offer(save(run, 500).value());
    writer.offer(save(run, 750).value());
    EXPECT_GT(writer.status().seconds_behind, 0);
    disk_.open_gate();
    writer.wait();
    const BackupStatus status = writer.status();
    EXPECT_EQ(status.copied, 2) << "what has begun is finished";
    EXPECT_EQ(status.skipped, 1);
    EXPECT_THAT(copies(), ElementsAre("backup/rolling/step_00000750"));
}

TEST_F(BackupWriterTest, RotationCannotTearACopy) {
    const auto opened = open_run_with_backup();
    const auto source = save(opened.value().run, 250).value();
    disk_.close_gate("model.safetensors");
    BackupWriter writer(opened.value().run, {});
    disk_.wait_until_somebody_waits();
    std::filesystem::remove_all(source.path);
    disk_.open_gate();
    writer.wait();
    EXPECT_EQ(writer.status().copied, 1);
    EXPECT_THAT(copies(), ElementsAre("backup/rolling/step_00000250"));
}

TEST_F(BackupWriterTest, ASourceThatIsDamagedOrGoneIsAbandoned) {
    const auto opened = open_run_with_backup();
    const RunDirectory& run = opened.value().run;
    BackupWriter writer(run, {});
    writer.wait();
    const auto damaged = save(run, 250).value();
    flip_bit(damaged.path + "/model.safetensors", 4100);
    writer.offer(damaged);
    writer.wait();
    EXPECT_EQ(writer.status().abandoned, 1);
    EXPECT_THAT(alarms(), ElementsAre(HasSubstr("are not the ones written")));
    const auto gone = save(run, 500).value();
    std::filesystem::remove_all(gone.path);
    writer.offer(gone);
    writer.wait();
    EXPECT_EQ(writer.status().abandoned, 2);
    EXPECT_EQ(writer.status().failed, 0);
    EXPECT_THAT(copies(), IsEmpty());
    writer.offer(save(run, 750).value());
    writer.wait();
    EXPECT_THAT(copies(), ElementsAre("backup/rolling/step_00000750"));
}

TEST_F(BackupWriterTest, P6_ASickBackupDiskIsShoutedCountedAndTriedAgain) {
    const auto opened = open_run_with_backup();
    const RunDirectory& run = opened.value().run;
    BackupWriter writer(run, {});
    writer.wait();
    const auto first = save(run, 1).value();
    const auto best = run.link(first, Pool::kBest, shared_buffers()).value();
    for (const int os_errno : {ENOSPC, EROFS}) {
        disk_.arm({.operation = fs::Operation::kMakeDirectory,
                   .path_part = backup_,
                   .os_errno = os_errno,
                   .for_ever = true});
        for (int i = 0; i < 6; ++i) {
            writer.offer(first);
            writer.offer(best);
            writer.wait();
        }
        disk_.disarm();
    }
    const std::int64_t failed = writer.status().failed;
    EXPECT_GE(failed, 12);
    EXPECT_EQ(alarms().size(), static_cast<std::size_t>((failed + 9) / 10)) << "not each time";
    EXPECT_GT(writer.status().seconds_behind, 0);
    writer.offer(save(run, 2).value());
    writer.wait();
    EXPECT_THAT(copies(), ElementsAre("backup/best/step_00000001", "backup/rolling/step_00000002"));
    EXPECT_EQ(writer.status().seconds_behind, 0);
}

TEST_F(BackupWriterTest, P6_ADiskThatIsMissingAtTheStartIsClaimedWhenItComes) {
    std::ofstream(backup_) << "in the way";
    const auto opened = open_run_with_backup();
    ASSERT_TRUE(opened.ok()) << opened.error().what;
    const RunDirectory& run = opened.value().run;
    BackupWriter writer(run, {});
    writer.wait();
    writer.offer(save(run, 250).value());
    writer.wait();
    EXPECT_EQ(writer.status().failed, 1);
    std::filesystem::remove(backup_);
    writer.offer(save(run, 500).value());
    writer.wait();
    EXPECT_THAT(copies(), ElementsAre("backup/rolling/step_00000500"));
}

TEST_F(BackupWriterTest, AnotherRunsCopiesAreNeverTouched) {
    {
        const auto opened = open_run_with_backup();
        ASSERT_TRUE(save(opened.value().run, 250).ok());
        BackupWriter writer(opened.value().run, {});
        ASSERT_TRUE(writer.finish(std::nullopt));
    }
    std::filesystem::create_directory(backup_ + "/.pending-0123456789abcdef");
    const auto listing = [&] {
        std::vector<std::string> paths;
        for (const auto& file : std::filesystem::recursive_directory_iterator(backup_)) {
            paths.push_back(file.path().string());
        }
        return paths;
    };
    // With its mark, and known by its entries alone.
    for (const bool is_marked : {true, false}) {
        if (!is_marked) {
            std::filesystem::remove(backup_ + "/backup.json");
        }
        const auto before = listing();
        OpenRunOptions other = options("never");
        other.backup_dir = backup_;
        other.directory = dir_ + (is_marked ? "_2" : "_3");
        const auto opened = open_run(disk_, other, shared_buffers());
        ASSERT_TRUE(opened.ok()) << opened.error().what;
        BackupWriter writer(opened.value().run, {});
        for (const std::int64_t step : {500, 750}) {
            writer.offer(save(opened.value().run, step).value());
            writer.wait();
        }
        EXPECT_EQ(writer.status().copied, 0);
        EXPECT_EQ(listing(), before);
        EXPECT_THAT(alarms(), Contains(HasSubstr("second copies of another run")));
        std::filesystem::remove_all(other.directory);
    }
}

TEST_F(BackupWriterTest, NothingIsWrittenWhereTheDiskWasUnmounted) {
    const auto opened = open_run_with_backup();
    const RunDirectory& run = opened.value().run;
    BackupWriter writer(run, {});
    writer.wait();
    writer.offer(save(run, 250).value());
    writer.wait();
    // What an unmounted disk leaves: an empty folder.
    std::filesystem::rename(backup_, backup_ + "_away");
    std::filesystem::create_directory(backup_);
    writer.offer(save(run, 500).value());
    writer.wait();
    EXPECT_TRUE(std::filesystem::is_empty(backup_));
    EXPECT_THAT(alarms(), ElementsAre(HasSubstr("is the disk mounted?")));
    std::filesystem::remove(backup_);
    std::filesystem::rename(backup_ + "_away", backup_);
    writer.offer(save(run, 750).value());
    writer.wait();
    EXPECT_THAT(copies(), ElementsAre("backup/rolling/step_00000750"));
}

TEST_F(BackupWriterTest, OnTheRunsOwnDiskItLeavesRoomForTheNextSave) {
    const auto opened = open();
    const RunDirectory& run = opened.value().run;
    BackupWriter writer(run, {});
    writer.wait();
    const auto source = save(run, 250).value();
    const std::uint64_t bytes = source.manifest.files_bytes();
    disk_.pretend_available(2 * (bytes + kSpaceMarginBytes) - 1);
    writer.offer(source);
    writer.wait();
    EXPECT_EQ(writer.status().failed, 1);
    EXPECT_THAT(alarms(), ElementsAre(HasSubstr("a second copy beside the next save needs")));
    disk_.pretend_available(2 * (bytes + kSpaceMarginBytes));
    EXPECT_TRUE(writer.finish(std::nullopt));
    EXPECT_TRUE(std::filesystem::exists(in_run("backup/rolling/step_00000250")));
}

TEST_F(BackupWriterTest, TwoWritersNeverShareARoot) {
    const auto opened = open_run_with_backup();
    const RunDirectory& run = opened.value().run;
    BackupWriter writer(run, {});
    writer.wait();
    {
        const auto other = RunLock::take(disk_, RunPaths::of(backup_), false);
        ASSERT_TRUE(other.ok()) << other.error().what << ": between copies it is free";
        writer.offer(save(run, 250).value());
        writer.wait();
        EXPECT_EQ(writer.status().failed, 1);
        EXPECT_THAT(alarms(), ElementsAre(HasSubstr("is in use by host")));
        EXPECT_THAT(copies(), IsEmpty());
    }
    writer.offer(save(run, 500).value());
    writer.wait();
    EXPECT_THAT(copies(), ElementsAre("backup/rolling/step_00000500"));
}

TEST_F(BackupWriterTest, ARootThatIsExchangedDuringACopyGetsNothingMore) {
    const auto opened = open_run_with_backup();
    const RunDirectory& run = opened.value().run;
    BackupWriter writer(run, {});
    writer.wait();
    const auto source = save(run, 250).value();
    disk_.close_gate("optimizer-00001");
    writer.offer(source);
    disk_.wait_until_somebody_waits();
    std::filesystem::rename(backup_, backup_ + "_away");
    std::filesystem::create_directory(backup_);
    disk_.open_gate();
    writer.wait();
    EXPECT_EQ(writer.status().failed, 1);
    EXPECT_TRUE(std::filesystem::is_empty(backup_));
    std::filesystem::remove_all(backup_ + "_away");
}

TEST_F(BackupWriterTest, ADeadlineCutsTheLastCopyAndSaysSo) {
    const auto opened = open_run_with_backup();
    const RunDirectory& run = opened.value().run;
    {
        BackupWriter writer(run, {});
        writer.wait();
        writer.offer(save(run, 250).value());
        writer.wait();
        disk_.close_gate(backup_);
        writer.offer(save(run, 500).value());
        disk_.wait_until_somebody_waits();
        EXPECT_FALSE(writer.finish(0));
        EXPECT_TRUE(writer.status().busy);
        EXPECT_THAT(alarms(),
                    ElementsAre(AllOf(HasSubstr("there was no time left"),
                                      HasSubstr("the newest is backup/rolling/step_00000250"))));
        disk_.open_gate();
    }
    EXPECT_THAT(copies(), ElementsAre("backup/rolling/step_00000250"));
}

// The old copy goes only when the new one is published: whichever call is the last before death,
// or fails once, there is a sound copy.
class BackupFault : public BackupWriterTest {
protected:
    void sweep(fs::Fault fault) {
        const auto opened = open_run_with_backup();
        const RunDirectory& run = opened.value().run;
        const auto source = save(run, 250).value();
        const auto next = save(run, 500).value();
        for (std::uint64_t k = 1;; ++k) {
            SCOPED_TRACE(k);
            std::filesystem::remove_all(backup_);
            {
                BackupWriter writer(run, {});
                writer.wait();
                std::filesystem::remove_all(backup_ + "/rolling/step_00000500");
                writer.offer(source);
                writer.wait();
                ASSERT_THAT(copies(), ElementsAre("backup/rolling/step_00000250"));
                fault.at_call = k;
                disk_.arm(fault);
                writer.offer(next);
                writer.wait();
            }
            const bool fired = disk_.fired();
            disk_.disarm();
            const auto left = copies();
            ASSERT_THAT(left,
                        ::testing::AnyOf(ElementsAre("backup/rolling/step_00000250"),
                                         ElementsAre("backup/rolling/step_00000500"),
                                         ElementsAre("backup/rolling/step_00000250",
                                                     "backup/rolling/step_00000500")));
            BackupWriter again(run, {});
            ASSERT_TRUE(again.finish(std::nullopt));
            ASSERT_THAT(copies(), ElementsAre("backup/rolling/step_00000500"));
            ASSERT_TRUE(std::filesystem::is_empty(backup_ + "/.trash"));
            if (!fired) {
                EXPECT_GT(k, 20U);
                return;
            }
            ASSERT_LT(k, 2000U);
        }
    }
};

TEST_F(BackupFault, P1_CrashAtAnyCallLeavesASoundCopy) {
    sweep({.crash = true});
}

TEST_F(BackupFault, P6_OneFailedCallLeavesASoundCopy) {
    sweep({.os_errno = EIO});
}

}  // namespace
}  // namespace holdfast::checkpoint
