#include "checkpoint/repair.h"

#include <gmock/gmock.h>

#include "checkpoint_fixture.h"

namespace holdfast::checkpoint {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::IsSupersetOf;
using ::testing::SizeIs;

// Rolling 0, 250, 500; 500 is also the best (links) and in the backup (a real copy).
class RepairTest : public RunFixture {
protected:
    RepairTest() : RunFixture(Place::kMemory) {
        const auto opened = open();
        const RunDirectory& run = opened.value().run;
        for (const std::int64_t step : {0, 250, 500}) {
            EXPECT_TRUE(save(run, step).ok());
        }
        newest_ = scan_entry(*file_system_, in_run(kNewest), Pool::kRolling, {}).value();
        const PublishedCheckpoint published{
            newest_.pool, newest_.name, newest_.path, newest_.manifest};
        EXPECT_TRUE(run.link(published, Pool::kBest, shared_buffers()).ok());
        EXPECT_TRUE(run.link(published, Pool::kBackupRolling, shared_buffers()).ok());
    }

    base::Result<ResumedFrom> resume(TinyState& state, const std::string& request = "auto") {
        const auto opened = open(request);
        if (!opened.ok()) {
            return opened.error();
        }
        return resume_load(opened.value(), parse_resume_request(request).value(), load_into(state));
    }
    // Nothing is lost: the newest is there, whole, and the head of its line.
    void expect_goes_on_from_500(const base::Result<ResumedFrom>& resumed, const TinyState& state) {
        ASSERT_TRUE(resumed.ok()) << resumed.error().what;
        EXPECT_EQ(state, TinyState::of_step(500));
        EXPECT_EQ(resumed.value().entry.label(), "rolling/step_00000500");
        EXPECT_EQ(resumed.value().entry.manifest, newest_.manifest);
        EXPECT_TRUE(resumed.value().is_head);
        EXPECT_THAT(resumed.value().fallbacks, IsEmpty());
        EXPECT_EQ(resumed.value().steps_lost, 0);
    }
    void expect_all_sound() {
        for (const Entry& entry : scan_pools(*file_system_, RunPaths::of(dir_), {}).entries) {
            auto reader = Reader::open(*file_system_, entry.path);
            EXPECT_TRUE(reader.ok() && reader.value().verify(1).ok()) << entry.label();
        }
    }
    [[nodiscard]] std::uint64_t inode(const std::string& file) {
        return file_system_->status(in_run(file)).value().inode;
    }

    static constexpr auto kNewest = "rolling/step_00000500";
    static constexpr auto kModel = "rolling/step_00000500/model.safetensors";
    static constexpr auto kBestModel = "best/step_00000500/model.safetensors";
    static constexpr auto kBackupModel = "backup/rolling/step_00000500/model.safetensors";
    Entry newest_;
};

TEST_F(RepairTest, P1_DamagedBytesAreRepairedFromTheBackupAndNoStepIsLost) {
    flip_bit(in_run(kModel), 4100);
    TinyState state;
    const auto resumed = resume(state);
    expect_goes_on_from_500(resumed, state);
    ASSERT_THAT(resumed.value().repairs, SizeIs(2));
    EXPECT_THAT(resumed.value().repairs[0],
                ::testing::MatchesRegex("rolling/step_00000500 was damaged \\(.*are not the ones "
                                        "written.*\\); repaired from "
                                        "backup/rolling/step_00000500"));
    EXPECT_EQ(resumed.value().repairs[1],
              "best/step_00000500 was damaged (it shares its files with rolling/step_00000500); "
              "repaired from rolling/step_00000500");
    expect_all_sound();
    EXPECT_EQ(inode(kModel), inode(kBestModel)) << "linked as before";
    EXPECT_NE(inode(kModel), inode(kBackupModel)) << "and the backup is a copy of its own";
    EXPECT_THAT(slurp(in_run("quarantine/000001_rolling_step_00000500/.why")),
                ::testing::MatchesRegex("rolling/step_00000500: .* not the ones written .*\n"));
    // Once is enough.
    EXPECT_THAT(resume(state).value().repairs, IsEmpty());
}

TEST_F(RepairTest, ADamagedManifestIsRepairedByItsName) {
    flip_bit(in_run("rolling/step_00000500/checkpoint.json"), 40);
    TinyState state;
    const auto resumed = resume(state);
    expect_goes_on_from_500(resumed, state);
    EXPECT_THAT(resumed.value().repairs, SizeIs(2)) << "the best shares it";
    expect_all_sound();
}

TEST_F(RepairTest, AMissingFileIsRepairedFromALinkedPool) {
    std::filesystem::remove_all(in_run("backup/rolling/step_00000500"));
    std::filesystem::remove(in_run(kModel));
    TinyState state;
    const auto resumed = resume(state);
    expect_goes_on_from_500(resumed, state);
    EXPECT_THAT(resumed.value().repairs,
                ElementsAre("rolling/step_00000500 was damaged (has no model.safetensors); "
                            "repaired from best/step_00000500"));
    EXPECT_EQ(inode(kModel), inode(kBestModel));
}

TEST_F(RepairTest, ACopyIsVerifiedBeforeItRepairs) {
    std::filesystem::remove_all(in_run("backup/rolling/step_00000500"));
    std::filesystem::remove(in_run(kModel));
    flip_bit(in_run(kBestModel), 4100);
    TinyState state;
    const auto resumed = resume(state);
    ASSERT_TRUE(resumed.ok()) << resumed.error().what;
    EXPECT_EQ(state, TinyState::of_step(250));
    EXPECT_THAT(resumed.value().repairs, IsEmpty());
}

TEST_F(RepairTest, LinkedPoolsAreOneCopy) {
    std::filesystem::remove_all(in_run("backup/rolling/step_00000500"));
    flip_bit(in_run(kModel), 4100);
    TinyState state;
    const auto resumed = resume(state);
    ASSERT_TRUE(resumed.ok()) << resumed.error().what;
    EXPECT_EQ(state, TinyState::of_step(250));
    EXPECT_EQ(resumed.value().steps_lost, 250);
    EXPECT_THAT(resumed.value().repairs, IsEmpty());
}

TEST_F(RepairTest, ADamagedBackupRepairsNothing) {
    flip_bit(in_run(kModel), 4100);
    flip_bit(in_run(kBackupModel), 4100);
    TinyState state;
    const auto resumed = resume(state);
    ASSERT_TRUE(resumed.ok()) << resumed.error().what;
    EXPECT_EQ(state, TinyState::of_step(250));
    EXPECT_THAT(resumed.value().repairs, IsEmpty());
    EXPECT_TRUE(
        std::filesystem::exists(in_run("backup/quarantine/000001_backup_rolling_step_00000500")))
        << "a second copy stays on its disk";
}

TEST_F(RepairTest, ACheckpointOfAnotherRunIsNoCopy) {
    std::filesystem::remove_all(in_run("backup/rolling/step_00000500"));
    const std::string other = dir_ + "_other";
    {
        OpenRunOptions options = this->options();
        options.directory = other;
        const auto opened = open_run(*file_system_, options, shared_buffers());
        ASSERT_TRUE(save(opened.value().run, 500).ok());
    }
    std::filesystem::copy(other + "/rolling/step_00000500", in_run("backup/rolling/step_00000500"));
    flip_bit(in_run("rolling/step_00000500/checkpoint.json"), 40);
    TinyState state;
    ASSERT_TRUE(resume(state).ok());
    EXPECT_EQ(state, TinyState::of_step(250));
    std::filesystem::remove_all(other);
}

TEST_F(RepairTest, P1_WhatOnlyTheBackupHoldsIsCopiedBack) {
    std::filesystem::remove_all(in_run(kNewest));
    std::filesystem::remove_all(in_run("best/step_00000500"));
    TinyState state;
    const auto resumed = resume(state);
    expect_goes_on_from_500(resumed, state);
    EXPECT_THAT(
        resumed.value().repairs,
        ElementsAre("rolling/step_00000500 was gone; restored from backup/rolling/step_00000500"));
    EXPECT_NE(inode(kModel), inode(kBackupModel));
}

TEST_F(RepairTest, P6_WithoutRoomTheRunGoesOnFromTheBackupAsANewLineage) {
    flip_bit(in_run(kModel), 4100);
    const auto opened = open();
    faults_.arm({.operation = fs::Operation::kReserve, .os_errno = ENOSPC, .for_ever = true});
    TinyState state;
    const auto resumed =
        resume_load(opened.value(), parse_resume_request("auto").value(), load_into(state));
    ASSERT_TRUE(resumed.ok()) << resumed.error().what;
    EXPECT_EQ(state, TinyState::of_step(500));
    EXPECT_EQ(resumed.value().entry.label(), "backup/rolling/step_00000500");
    EXPECT_FALSE(resumed.value().is_head) << "nothing is linked to a second copy";
    EXPECT_EQ(resumed.value().next_lineage, 2);
}

TEST_F(RepairTest, QuarantineKeepsTheNewestThree) {
    const auto opened = open();
    const RunDirectory& run = opened.value().run;
    for (const std::int64_t step : {1, 2, 3, 4, 5}) {
        ASSERT_TRUE(save(run, step, Pool::kEmergency).ok());
        flip_bit(run.scan().entries[static_cast<std::size_t>(step)].path + "/checkpoint.json", 40);
    }
    TinyState state;
    ASSERT_TRUE(
        resume_load(opened.value(), parse_resume_request("auto").value(), load_into(state)).ok());
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(in_run("quarantine"))) {
        names.push_back(entry.path().filename().string().substr(0, 6));
        EXPECT_TRUE(std::filesystem::exists(entry.path() / ".why"));
    }
    EXPECT_THAT(names, ::testing::UnorderedElementsAre("000003", "000004", "000005"));
}

// A repair is one sequence of calls: whichever is the last before death, or fails once, the next
// resume has the newest checkpoint, whole, and needs at most one more repair.
class RepairFault : public RepairTest {
protected:
    void sweep(fs::Fault fault) {
        flip_bit(in_run(kModel), 4100);
        const std::string pristine = dir_ + "_pristine";
        constexpr auto kAll =
            std::filesystem::copy_options::recursive | std::filesystem::copy_options::copy_symlinks;
        std::filesystem::rename(dir_, pristine);
        for (std::uint64_t k = 1;; ++k) {
            SCOPED_TRACE(k);
            std::filesystem::remove_all(dir_);
            std::filesystem::copy(pristine, dir_, kAll);
            relink_best();
            bool fired = false;
            {
                const auto opened = open();
                ASSERT_TRUE(opened.ok());
                fault.at_call = k;
                faults_.arm(fault);
                TinyState state;
                static_cast<void>(resume_load(opened.value(),
                                              parse_resume_request("auto").value(),
                                              load_into(state))
                                      .ok());
                fired = faults_.fired();
                faults_.disarm();
            }
            TinyState state;
            const auto resumed = resume(state);
            ASSERT_TRUE(resumed.ok()) << resumed.error().what;
            ASSERT_EQ(state, TinyState::of_step(500));
            ASSERT_TRUE(resumed.value().is_head);
            ASSERT_FALSE(is_backup(resumed.value().entry.pool));
            ASSERT_THAT(resumed.value().repairs, SizeIs(::testing::Le(2)));
            ASSERT_THAT(labels(),
                        IsSupersetOf({"rolling/step_00000000",
                                      "rolling/step_00000250",
                                      "backup/rolling/step_00000500"}));
            TinyState again;
            ASSERT_THAT(resume(again).value().repairs, IsEmpty());
            if (!fired) {
                EXPECT_GT(k, 20U) << "the sweep must have gone through a repair";
                break;
            }
            ASSERT_LT(k, 2000U);
        }
        std::filesystem::remove_all(pristine);
    }
    // A copied tree has lost its links.
    void relink_best() const {
        for (const auto& file : std::filesystem::directory_iterator(in_run(kNewest))) {
            const std::string link =
                in_run("best/step_00000500/" + file.path().filename().string());
            std::filesystem::remove(link);
            std::filesystem::create_hard_link(file.path(), link);
        }
    }
};

TEST_F(RepairFault, P1_CrashAtAnyCallOfARepairLosesNothing) {
    sweep({.crash = true});
}

TEST_F(RepairFault, P6_OneFailedCallOfARepairLosesNothing) {
    sweep({.os_errno = EIO});
}

}  // namespace
}  // namespace holdfast::checkpoint
