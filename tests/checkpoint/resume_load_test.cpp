#include "checkpoint/resume_load.h"

#include <gmock/gmock.h>

#include "checkpoint_fixture.h"

namespace holdfast::checkpoint {
namespace {

using base::ErrorKind;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ResumeLoad : public RunFixture {
protected:
    struct Answer {
        base::Result<ResumedFrom> resumed;
        TinyState state;
    };
    Answer resume(const std::string& request) {
        auto opened = open(request);
        if (!opened.ok()) {
            return {opened.error(), {}};
        }
        TinyState state;
        auto resumed =
            resume_load(opened.value(), parse_resume_request(request).value(), load_into(state));
        return {std::move(resumed), state};
    }
    void make_run() {
        const auto opened = open();
        const RunDirectory& run = opened.value().run;
        for (const std::int64_t step : {0, 250, 500, 750}) {
            const auto published = save(run, step).value();
            if (step == 250 || step == 500) {
                ASSERT_TRUE(run.link(published, Pool::kBest, shared_buffers()).ok());
            }
        }
    }
};

TEST_F(ResumeLoad, EachRequestFindsItsOwn) {
    make_run();
    for (const auto& [request, step] :
         std::vector<std::pair<std::string, std::int64_t>>{{"auto", 750},
                                                           {"latest", 750},
                                                           {"best", 500},
                                                           {"previous-best", 250},
                                                           {"0", 0},
                                                           {in_run("rolling/step_00000250"), 250},
                                                           {in_run("rolling/step_00000250/"), 250},
                                                           {in_run("latest"), 750},
                                                           {dir_, 750}}) {
        const Answer answer = resume(request);
        ASSERT_TRUE(answer.resumed.ok()) << request << ": " << answer.resumed.error().what;
        EXPECT_EQ(answer.state, TinyState::of_step(step)) << request;
        EXPECT_EQ(answer.resumed.value().is_head, step == 750) << request;
        EXPECT_EQ(answer.resumed.value().next_lineage, 2);
    }
    for (const auto* request : {"backup", "251"}) {
        EXPECT_EQ(resume(request).resumed.error().kind, ErrorKind::kNotFound) << request;
    }
}

// Before the lock, under it, and to choose from: one manifest of many thousands, three times.
TEST_F(ResumeLoad, AStartScansThePoolsThreeTimes) {
    make_run();
    faults_.reset_count();
    ASSERT_TRUE(resume("auto").resumed.ok());
    const auto history = faults_.history();
    const auto opened = std::count_if(history.begin(), history.end(), [&](const auto& call) {
        return call.first == fs::Operation::kOpen &&
               call.second == in_run("rolling/step_00000000/checkpoint.json");
    });
    EXPECT_EQ(opened, 3);
}

TEST_F(ResumeLoad, RollbackBeginsALineageThatWinsFromThenOn) {
    make_run();
    {
        const auto opened = open("250");
        TinyState state;
        const auto resumed =
            resume_load(opened.value(), parse_resume_request("250").value(), load_into(state));
        ASSERT_FALSE(resumed.value().is_head);
        Manifest manifest = tiny_manifest(opened.value().run.identity().run_id, 250);
        begin_lineage(manifest, resumed.value().entry.manifest, resumed.value().next_lineage);
        const auto published = save(opened.value().run, manifest);
        ASSERT_TRUE(published.ok()) << published.error().what;
        EXPECT_EQ(published.value().name, "step_00000250-r2");
    }
    const Answer answer = resume("auto");
    EXPECT_EQ(answer.resumed.value().entry.label(), "rolling/step_00000250-r2");
    EXPECT_TRUE(answer.resumed.value().is_head);
    EXPECT_EQ(resume("best").resumed.value().entry.manifest.identity.step, 250)
        << "the best after the fork is superseded";
    EXPECT_EQ(resume("750").resumed.value().next_lineage, 3);
}

// Lineage 2, begun at step 250: its one checkpoint lost its manifest.
TEST_F(ResumeLoad, WhatALostLineageGaveUpStaysGivenUp) {
    make_run();
    {
        const auto opened = open("250");
        TinyState state;
        const auto resumed =
            resume_load(opened.value(), parse_resume_request("250").value(), load_into(state));
        Manifest manifest = tiny_manifest(opened.value().run.identity().run_id, 250);
        begin_lineage(manifest, resumed.value().entry.manifest, 2);
        ASSERT_TRUE(save(opened.value().run, manifest).ok());
    }
    flip_bit(in_run("rolling/step_00000250-r2/checkpoint.json"), 100);
    // The second start finds it in quarantine: the first died before it published anything.
    for (const auto* start : {"first", "second"}) {
        const Answer answer = resume("auto");
        ASSERT_TRUE(answer.resumed.ok()) << answer.resumed.error().what;
        EXPECT_EQ(answer.resumed.value().entry.label(), "rolling/step_00000250") << start;
        EXPECT_EQ(answer.state, TinyState::of_step(250));
        EXPECT_FALSE(answer.resumed.value().is_head);
        EXPECT_EQ(answer.resumed.value().next_lineage, 3);
        EXPECT_FALSE(std::filesystem::exists(in_run("rolling/step_00000250-r2")));
    }
    EXPECT_EQ(resume("750").state, TinyState::of_step(750)) << "asked for, it is to be had";
    // Nothing is left from before the fork.
    for (const auto* name :
         {"rolling/step_00000000", "rolling/step_00000250", "best/step_00000250"}) {
        std::filesystem::remove_all(in_run(name));
    }
    const Answer answer = resume("auto");
    EXPECT_EQ(answer.state, TinyState::of_step(750));
    EXPECT_FALSE(answer.resumed.value().is_head);
}

TEST_F(ResumeLoad, UnreadableNowIsSkippedNotMoved) {
    make_run();
    const auto opened = open();
    faults_.arm({.operation = fs::Operation::kRead,
                 .path_part = "rolling/step_00000750/model",
                 .os_errno = EIO,
                 .for_ever = true});
    TinyState state;
    const auto resumed =
        resume_load(opened.value(), parse_resume_request("auto").value(), load_into(state));
    ASSERT_TRUE(resumed.ok()) << resumed.error().what;
    EXPECT_EQ(state, TinyState::of_step(500));
    EXPECT_FALSE(resumed.value().is_head) << "what is ahead may come back";
    EXPECT_TRUE(std::filesystem::exists(in_run("rolling/step_00000750")));
}

TEST_F(ResumeLoad, AFailingMoveToQuarantineIsNotFatal) {
    make_run();
    flip_bit(in_run("rolling/step_00000750/model.safetensors"), 4100);
    const auto opened = open();
    faults_.arm({.operation = fs::Operation::kRename, .os_errno = EACCES, .for_ever = true});
    TinyState state;
    const auto resumed =
        resume_load(opened.value(), parse_resume_request("auto").value(), load_into(state));
    ASSERT_TRUE(resumed.ok()) << resumed.error().what;
    EXPECT_EQ(state, TinyState::of_step(500));
    EXPECT_TRUE(resumed.value().fallbacks.at(0).moved_to.empty());
}

TEST_F(ResumeLoad, P7_AnotherShapeEndsTheSearchAndMovesNothing) {
    make_run();
    const auto opened = open();
    int calls = 0;
    const auto resumed = resume_load(
        opened.value(), parse_resume_request("auto").value(), [&](const Entry&, Reader&) {
            ++calls;
            return base::Status(base::Error{ErrorKind::kInvalid, "another shape", 0});
        });
    EXPECT_EQ(resumed.error().kind, ErrorKind::kInvalid);
    EXPECT_THAT(resumed.error().what, HasSubstr("another shape"));
    EXPECT_EQ(calls, 1);
    EXPECT_EQ(labels().size(), 6U);
}

TEST_F(ResumeLoad, ADamagedHardLinkIsNotTrustedUnderAnotherName) {
    make_run();
    flip_bit(in_run("best/step_00000500/model.safetensors"), 4100);
    const Answer answer = resume("best");
    EXPECT_EQ(answer.resumed.error().kind, ErrorKind::kCorrupt);
    EXPECT_EQ(resume("previous-best").resumed.error().kind, ErrorKind::kNotFound);
    EXPECT_EQ(resume("best").state, TinyState::of_step(250));
}

TEST_F(ResumeLoad, ACheckpointOutsideAnyRunStartsOneWithItsIdentity) {
    make_run();
    const std::string lone = temporary_ / "carried";
    std::filesystem::copy(in_run("rolling/step_00000250"), lone);
    OpenRunOptions there = options(lone);
    there.directory = temporary_ / "new";
    const auto opened = open_run(*file_system_, there, shared_buffers());
    ASSERT_TRUE(opened.ok()) << opened.error().what;
    EXPECT_TRUE(opened.value().chosen_is_external);
    TinyState state;
    const auto resumed = resume_load(opened.value(), there.resume, load_into(state));
    ASSERT_TRUE(resumed.ok()) << resumed.error().what;
    EXPECT_EQ(state, TinyState::of_step(250));
    EXPECT_FALSE(resumed.value().is_head);
    EXPECT_EQ(resumed.value().next_lineage, 2);
    EXPECT_EQ(opened.value().run.identity().run_id, resumed.value().entry.manifest.run_id);
}

TEST_F(ResumeLoad, LoadNewestChangesNothing) {
    make_run();
    flip_bit(in_run("rolling/step_00000750/model.safetensors"), 4100);
    const std::vector<std::string> before = labels();
    TinyState state;
    const auto loaded = load_newest(*file_system_, dir_, load_into(state));
    ASSERT_TRUE(loaded.ok()) << loaded.error().what;
    EXPECT_EQ(state, TinyState::of_step(500));
    EXPECT_EQ(labels(), before);
    EXPECT_TRUE(load_newest(*file_system_, in_run("best/step_00000250"), load_into(state)).ok());
    EXPECT_EQ(load_newest(*file_system_, temporary_ / "no", load_into(state)).error().kind,
              ErrorKind::kNotFound);
}

TEST_F(ResumeLoad, AnEntryOfAnotherRunIsNeitherResumedNorDeleted) {
    make_run();
    const std::string other_dir = temporary_ / "other";
    {
        OpenRunOptions elsewhere = options();
        elsewhere.directory = other_dir;
        const auto opened = open_run(*file_system_, elsewhere, shared_buffers());
        ASSERT_TRUE(save(opened.value().run, 9000).ok());
    }
    std::filesystem::copy(other_dir + "/rolling/step_00009000", in_run("rolling/step_00009000"));
    EXPECT_EQ(resume("auto").state, TinyState::of_step(750));
    const auto opened = open();
    const ReclaimReport report = opened.value().run.tidy({.keep_rolling = 2}, shared_buffers());
    EXPECT_THAT(report.deleted, ElementsAre("rolling/step_00000000", "rolling/step_00000250"));
    EXPECT_TRUE(std::filesystem::exists(in_run("rolling/step_00009000")));
}

}  // namespace
}  // namespace holdfast::checkpoint
