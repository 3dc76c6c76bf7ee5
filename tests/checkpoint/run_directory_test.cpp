#include "checkpoint/run_directory.h"

#include <unistd.h>

#include <gmock/gmock.h>

#include "base/clock.h"
#include "checkpoint_fixture.h"

namespace holdfast::checkpoint {
namespace {

using base::ErrorKind;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class RunDirectoryTest : public RunFixture {
protected:
    OpenRunOptions other_options(const std::string& resume = "auto") {
        OpenRunOptions other = options(resume);
        other.identity.config = R"({"model":{"n_layer":3}})";
        other.differences = [](const RunIdentity& stored) {
            return stored.config == R"({"model":{"n_layer":3}})"
                       ? std::vector<std::string>{}
                       : std::vector<std::string>{"model.n_layer 2, asked for 3"};
        };
        return other;
    }
    base::Result<OpenedRun> open_other(const std::string& resume = "auto") {
        return open_run(*file_system_, other_options(resume), shared_buffers());
    }
    const std::string sibling_ = temporary_ / ("run_run_" + base::utc_compact(1'795'000'000));
};

TEST_F(RunDirectoryTest, MakesAllFoldersAtOnce) {
    const auto opened = open();
    ASSERT_TRUE(opened.ok()) << opened.error().what;
    EXPECT_TRUE(opened.value().fresh);
    for (const auto* name : {"rolling",
                             "emergency",
                             "best",
                             "epoch",
                             "keep",
                             "backup/rolling",
                             "backup/best",
                             "quarantine",
                             ".trash",
                             "tensorboard",
                             "run.json",
                             "lock"}) {
        EXPECT_TRUE(std::filesystem::exists(in_run(name))) << name;
    }
}

TEST_F(RunDirectoryTest, SameIdentityGoesOnWithTheSameRunId) {
    std::string run_id;
    {
        const auto opened = open();
        run_id = opened.value().run.identity().run_id;
        ASSERT_TRUE(save(opened.value().run, 0).ok());
    }
    const auto again = open();
    EXPECT_FALSE(again.value().fresh);
    EXPECT_EQ(again.value().run.identity().run_id, run_id);
    EXPECT_EQ(again.value().run.paths().directory, dir_);
}

TEST_F(RunDirectoryTest, NothingPublishedStartsInPlaceForAnyIdentity) {
    ASSERT_TRUE(open().ok());
    const auto opened = open_other();
    EXPECT_TRUE(opened.value().fresh);
    EXPECT_EQ(opened.value().run.paths().directory, dir_);
    EXPECT_EQ(opened.value().run.identity().config, R"({"model":{"n_layer":3}})");
}

TEST_F(RunDirectoryTest, AnotherIdentityGetsADirectoryBesideAndFindsItAgain) {
    {
        const auto opened = open();
        ASSERT_TRUE(save(opened.value().run, 0).ok());
    }
    {
        const auto other = open_other();
        ASSERT_TRUE(other.ok()) << other.error().what;
        EXPECT_TRUE(other.value().fresh);
        EXPECT_EQ(other.value().run.paths().directory, sibling_);
        ASSERT_EQ(other.value().notes.size(), 1U);
        EXPECT_THAT(other.value().notes[0], HasSubstr(sibling_));
        EXPECT_THAT(other.value().notes[0], HasSubstr("asked for 3"));
        ASSERT_TRUE(save(other.value().run, 0).ok());
    }
    EXPECT_EQ(open_other().value().run.paths().directory, sibling_);
    EXPECT_FALSE(open_other().value().fresh);
    EXPECT_EQ(open().value().run.paths().directory, dir_);
}

TEST_F(RunDirectoryTest, P7_WhatMustBeFoundIsNotReplacedByAFreshStart) {
    for (const auto* resume : {"latest", "best", "previous-best", "backup", "250"}) {
        const auto opened = open(resume);
        ASSERT_FALSE(opened.ok()) << resume;
        EXPECT_EQ(opened.error().kind, ErrorKind::kNotFound) << resume;
        EXPECT_THAT(opened.error().what, HasSubstr(resume));
        EXPECT_FALSE(std::filesystem::exists(dir_)) << "nothing may be made";
    }
    {
        const auto opened = open();
        ASSERT_TRUE(save(opened.value().run, 0).ok());
    }
    EXPECT_THAT(open_other("latest").error().what, HasSubstr("holds another run"));
    EXPECT_EQ(open("/nowhere/step_00000001").error().kind, ErrorKind::kNotFound);
}

TEST_F(RunDirectoryTest, OnlyNeverForcesAFreshRun) {
    {
        const auto opened = open();
        ASSERT_TRUE(save(opened.value().run, 0).ok());
    }
    const auto fresh = open("never");
    EXPECT_TRUE(fresh.value().fresh);
    EXPECT_EQ(fresh.value().run.paths().directory, sibling_);
    EXPECT_THAT(labels(), ElementsAre("rolling/step_00000000"));
}

TEST_F(RunDirectoryTest, LostRunFileIsRebuiltFromACheckpoint) {
    RunIdentity before;
    {
        const auto opened = open();
        before = opened.value().run.identity();
        ASSERT_TRUE(save(opened.value().run, 0).ok());
    }
    for (const auto* text : {"", "{}", "{\n\"format\":1"}) {
        overwrite(in_run("run.json"), text);
        const auto again = open();
        ASSERT_TRUE(again.ok()) << again.error().what;
        EXPECT_FALSE(again.value().fresh);
        EXPECT_EQ(again.value().run.identity().run_id, before.run_id);
        EXPECT_THAT(again.value().notes.at(0), HasSubstr("rebuilt"));
    }
    EXPECT_TRUE(open().value().notes.empty());
}

TEST_F(RunDirectoryTest, P7_AForeignDirectoryIsRefused) {
    std::filesystem::create_directories(dir_);
    std::ofstream(in_run("holiday.jpg")) << "x";
    const auto opened = open();
    EXPECT_EQ(opened.error().kind, ErrorKind::kInvalid);
    EXPECT_THAT(opened.error().what, HasSubstr("holiday.jpg"));
    EXPECT_FALSE(std::filesystem::exists(in_run("rolling")));
    std::filesystem::remove_all(dir_);
    std::ofstream(dir_) << "a file";
    EXPECT_EQ(open().error().kind, ErrorKind::kInvalid);
}

TEST_F(RunDirectoryTest, P7_AReadOnlyPlaceIsOneClearLine) {
    faults_.arm({.operation = fs::Operation::kMakeDirectory, .os_errno = EROFS, .for_ever = true});
    const auto opened = open();
    EXPECT_EQ(opened.error().kind, ErrorKind::kIo);
    EXPECT_THAT(opened.error().what, HasSubstr(dir_));
    EXPECT_EQ(opened.error().what.find('\n'), std::string::npos);
}

TEST_F(RunDirectoryTest, P1_FoldersOfADeadStartAreMadeDurableByTheNext) {
    faults_.arm({.operation = fs::Operation::kSyncDirectory, .os_errno = EIO, .for_ever = true});
    EXPECT_FALSE(open().ok());
    faults_.disarm();
    faults_.reset_count();
    ASSERT_TRUE(open().ok());
    for (const std::string& parent : {temporary_.path(), dir_, in_run("backup")}) {
        EXPECT_THAT(faults_.history(),
                    ::testing::Contains(std::pair(fs::Operation::kSyncDirectory, parent)));
    }
}

TEST_F(RunDirectoryTest, P1_ARunThatCannotBeReadJustNowIsNotBegunAnew) {
    {
        const auto opened = open();
        ASSERT_TRUE(save(opened.value().run, 0).ok());
    }
    {
        const auto other = open_other();
        ASSERT_TRUE(save(other.value().run, 0).ok());
    }
    for (const auto& part : {sibling_ + "/run.json", sibling_, temporary_.path()}) {
        faults_.arm(
            {.operation = part.ends_with("json") ? fs::Operation::kOpen : fs::Operation::kList,
             .path_part = part,
             .os_errno = ESTALE});
        EXPECT_EQ(open_other().error().kind, ErrorKind::kIo) << part;
    }
    faults_.disarm();
    EXPECT_FALSE(open_other().value().fresh);
}

TEST_F(RunDirectoryTest, SecondTrainerIsToldWhoHoldsIt) {
    const auto first = open();
    const auto second = open();
    ASSERT_FALSE(second.ok());
    EXPECT_EQ(second.error().kind, ErrorKind::kBusy);
    EXPECT_THAT(second.error().what, HasSubstr("process " + std::to_string(::getpid())));
}

TEST_F(RunDirectoryTest, LockIsNotInheritedPastExec) {
    const auto first = open();
    ASSERT_GE(first.value().run.lock().descriptor(), 0);
    const std::string probe =
        "test ! -e /proc/self/fd/" + std::to_string(first.value().run.lock().descriptor());
    EXPECT_EQ(std::system(probe.c_str()), 0);
}

TEST_F(RunDirectoryTest, NothingIsWrittenOnceTheLockFileIsNotOurs) {
    auto opened = open();
    const RunDirectory& run = opened.value().run;
    ASSERT_TRUE(save(run, 0).ok());
    auto pending = sealed_save(run.begin_save(make_save_id(), kTinyBytes, shared_buffers()),
                               tiny_manifest(run.identity().run_id, 250));
    std::filesystem::remove(in_run("lock"));
    std::ofstream(in_run("lock")) << "another";
    EXPECT_EQ(
        run.publish(std::move(pending).value(), Pool::kRolling, shared_buffers()).error().kind,
        ErrorKind::kBusy);
    EXPECT_EQ(run.begin_save(make_save_id(), 1, shared_buffers()).error().kind, ErrorKind::kBusy);
    EXPECT_THAT(run.tidy({}, shared_buffers()).failures, ElementsAre(HasSubstr("no longer")));
    EXPECT_THAT(run.make_room(1).reclaimed.failures, ElementsAre(HasSubstr("no longer")));
    EXPECT_THAT(labels(), ElementsAre("rolling/step_00000000"));
}

TEST_F(RunDirectoryTest, WithoutFlockOnlyWhenAllowed) {
    faults_.arm({.operation = fs::Operation::kLock, .os_errno = ENOLCK, .for_ever = true});
    EXPECT_THAT(open().error().what, HasSubstr("--allow-unlocked"));
    OpenRunOptions allowed = options();
    allowed.allow_unlocked = true;
    EXPECT_TRUE(open_run(*file_system_, allowed, shared_buffers()).ok());
}

TEST_F(RunDirectoryTest, OpeningServesOwedPoolsAndClearsLeftovers) {
    {
        const auto opened = open();
        const RunDirectory& run = opened.value().run;
        // The link into keep fails: a full disk, say.
        faults_.arm({.operation = fs::Operation::kHardLink, .os_errno = ENOSPC});
        ASSERT_TRUE(save(run, 250, Pool::kRolling, {Pool::kKeep, Pool::kEpoch}).ok());
        EXPECT_TRUE(faults_.fired());
        faults_.disarm();
    }
    EXPECT_THAT(labels(), ElementsAre("rolling/step_00000250", "epoch/epoch_00000"));
    std::filesystem::create_directories(in_run(".pending-0123456789abcdef"));
    std::ofstream(in_run(".pending-0123456789abcdef/model.safetensors")) << "torn";
    std::filesystem::create_directories(in_run(".trash/0123456789abcdef"));
    const auto opened = open();
    EXPECT_THAT(labels(),
                ::testing::UnorderedElementsAre(
                    "rolling/step_00000250", "epoch/epoch_00000", "keep/step_00000250"));
    EXPECT_FALSE(std::filesystem::exists(in_run(".pending-0123456789abcdef")));
    EXPECT_TRUE(std::filesystem::is_empty(in_run(".trash")));
}

TEST_F(RunDirectoryTest, TidyReportsFreedAndStillHeldBytes) {
    const auto opened = open();
    const RunDirectory& run = opened.value().run;
    const auto best = save(run, 0).value();
    ASSERT_TRUE(run.link(best, Pool::kBest, shared_buffers()).ok());
    for (const std::int64_t step : {1, 2, 3}) {
        ASSERT_TRUE(save(run, step).ok());
    }
    const ReclaimReport report = run.tidy({.keep_rolling = 2}, shared_buffers());
    EXPECT_THAT(report.deleted, ElementsAre("rolling/step_00000000", "rolling/step_00000001"));
    EXPECT_THAT(report.failures, ::testing::IsEmpty());
    EXPECT_GT(report.freed_bytes, 8192U);
    EXPECT_GT(report.held_bytes, 8192U);
    EXPECT_THAT(
        labels(),
        ElementsAre("best/step_00000000", "rolling/step_00000002", "rolling/step_00000003"));
    EXPECT_TRUE(std::filesystem::is_empty(in_run(".trash")));
}

TEST_F(RunDirectoryTest, P6_AFailedDeleteIsToldAndTriedAgain) {
    const auto opened = open();
    const RunDirectory& run = opened.value().run;
    for (const std::int64_t step : {0, 1, 2}) {
        ASSERT_TRUE(save(run, step).ok());
    }
    faults_.arm({.operation = fs::Operation::kRemoveFile, .os_errno = EBUSY});
    const ReclaimReport first = run.tidy({.keep_rolling = 2}, shared_buffers());
    EXPECT_EQ(first.failures.size(), 1U);
    EXPECT_FALSE(std::filesystem::is_empty(in_run(".trash")));
    faults_.disarm();
    EXPECT_TRUE(run.tidy({.keep_rolling = 2}, shared_buffers()).failures.empty());
    EXPECT_TRUE(std::filesystem::is_empty(in_run(".trash")));
}

TEST_F(RunDirectoryTest, LatestIsARelativeLinkAndAHintOnly) {
    {
        const auto opened = open();
        ASSERT_TRUE(save(opened.value().run, 250).ok());
        EXPECT_EQ(std::filesystem::read_symlink(in_run("latest")), "rolling/step_00000250");
        ASSERT_TRUE(save(opened.value().run, 312, Pool::kEmergency).ok());
        EXPECT_THAT(std::filesystem::read_symlink(in_run("latest")).string(),
                    HasSubstr("emergency/step_00000312_2026"));
    }
    std::filesystem::remove(in_run("latest"));
    std::filesystem::create_symlink("rolling/step_99999999", in_run("latest"));
    const auto opened = open();
    TinyState state;
    const auto resumed =
        resume_load(opened.value(), parse_resume_request("latest").value(), load_into(state));
    EXPECT_EQ(resumed.value().entry.manifest.identity.step, 312);
}

TEST_F(RunDirectoryTest, MovedDirectoryIsTheSameRun) {
    {
        const auto opened = open();
        ASSERT_TRUE(save(opened.value().run, 250).ok());
    }
    const std::string moved = temporary_ / "elsewhere";
    std::filesystem::rename(dir_, moved);
    OpenRunOptions there = options();
    there.directory = moved;
    const auto opened = open_run(*file_system_, there, shared_buffers());
    EXPECT_FALSE(opened.value().fresh);
    TinyState state;
    EXPECT_TRUE(
        resume_load(opened.value(), parse_resume_request("latest").value(), load_into(state)).ok());
}

TEST(ResumeRequest, ReadsWordsStepsAndPaths) {
    EXPECT_EQ(parse_resume_request("auto").value().kind, ResumeKind::kAuto);
    EXPECT_EQ(parse_resume_request("previous_best").value().kind, ResumeKind::kPreviousBest);
    EXPECT_EQ(parse_resume_request("10_000").value().step, 10'000);
    EXPECT_EQ(parse_resume_request("runs/x").value().path, "runs/x");
    EXPECT_EQ(parse_resume_request("").error().kind, ErrorKind::kInvalid);
    for (const auto* text :
         {"auto", "latest", "best", "previous-best", "backup", "never", "250", "a/b"}) {
        EXPECT_EQ(to_string(parse_resume_request(text).value()), text);
    }
}

}  // namespace
}  // namespace holdfast::checkpoint
