#include "checkpoint/reclaim.h"

#include <gmock/gmock.h>

#include "base/log.h"
#include "checkpoint_fixture.h"

namespace holdfast::checkpoint {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

class ReclaimTest : public RunFixture {
protected:
    ReclaimTest() : RunFixture(Place::kMemory), opened_(open()) {
        for (const std::int64_t step : {0, 250, 500, 750}) {
            EXPECT_TRUE(save(run(), step).ok());
        }
        base::capture_log([](auto, std::string_view) {});
    }
    ~ReclaimTest() override { base::capture_log(nullptr); }

    [[nodiscard]] const RunDirectory& run() const { return opened_.value().run; }
    ReclaimReport tidy(std::int64_t keep = 10) const {
        return run().tidy({.keep_rolling = keep}, shared_buffers());
    }
    void put_into_trash(const std::string& id) const {
        std::filesystem::copy(in_run("rolling/step_00000000"), in_run(".trash/" + id));
    }
    [[nodiscard]] std::size_t files_in(const std::string& folder) const {
        return static_cast<std::size_t>(
            std::distance(std::filesystem::directory_iterator(in_run(folder)), {}));
    }

    base::Result<OpenedRun> opened_;
};

TEST_F(ReclaimTest, P6_OneFileThatStaysHoldsNothingElseUp) {
    put_into_trash("00000000000000aa");
    put_into_trash("00000000000000bb");
    faults_.arm({.operation = fs::Operation::kRemoveFile,
                 .path_part = "00000000000000aa/checkpoint.json",
                 .os_errno = EBUSY,
                 .for_ever = true});
    const ReclaimReport report = tidy(3);
    EXPECT_THAT(report.failures, SizeIs(1));
    EXPECT_THAT(report.deleted, Contains("rolling/step_00000000"));
    EXPECT_EQ(files_in(".trash"), 1U);
    EXPECT_EQ(files_in(".trash/00000000000000aa"), 1U);
    faults_.disarm();
    EXPECT_THAT(tidy(3).failures, IsEmpty());
    EXPECT_EQ(files_in(".trash"), 0U);
}

TEST_F(ReclaimTest, P6_AStuckEntryCostsNoYoungerOneAndGoesWhenItCan) {
    faults_.arm({.operation = fs::Operation::kRename,
                 .path_part = "rolling/step_00000000",
                 .os_errno = EACCES,
                 .for_ever = true});
    for (int pass = 0; pass < 3; ++pass) {
        EXPECT_THAT(tidy(3).failures, SizeIs(1));
        EXPECT_THAT(labels(), SizeIs(4));
    }
    faults_.disarm();
    EXPECT_THAT(tidy(3).deleted, Contains("rolling/step_00000000"));
    EXPECT_THAT(labels(), SizeIs(3));
}

TEST_F(ReclaimTest, WhatASymlinkPointsAtStays) {
    const std::string target = in_run("rolling/step_00000750");
    std::filesystem::create_symlink(target, in_run(".trash/00000000000000aa"));
    std::ofstream(in_run(".trash/.nfs0001")) << "left by a network file system";
    EXPECT_THAT(tidy().failures, IsEmpty());
    EXPECT_EQ(files_in(".trash"), 0U);
    EXPECT_EQ(files_in("rolling/step_00000750"), 3U);
}

TEST_F(ReclaimTest, P1_TheTrashWaitsUntilTheNamesOfItAreDurable) {
    // Else a power cut could bring half an entry back under its old name.
    faults_.arm({.at_call = 1,
                 .operation = fs::Operation::kSyncDirectory,
                 .path_part = "rolling",
                 .os_errno = EIO});
    EXPECT_THAT(tidy(3).failures, Contains(HasSubstr("step_00000000")));
    EXPECT_EQ(files_in(".trash"), 1U);
    faults_.arm({.operation = fs::Operation::kSyncDirectory, .os_errno = EIO, .for_ever = true});
    EXPECT_THAT(tidy(3).failures, Not(IsEmpty()));
    EXPECT_EQ(files_in(".trash"), 1U);
    faults_.disarm();
    EXPECT_THAT(tidy(3).failures, IsEmpty());
    EXPECT_EQ(files_in(".trash"), 0U);
}

TEST_F(ReclaimTest, APoolThatCannotBeListedIsTold) {
    faults_.arm({.operation = fs::Operation::kList,
                 .path_part = "emergency",
                 .os_errno = EIO,
                 .for_ever = true});
    const ReclaimReport report = tidy(2);
    EXPECT_THAT(report.failures, Contains(HasSubstr("emergency")));
    EXPECT_THAT(report.deleted, IsEmpty());
}

TEST_F(ReclaimTest, ALinkIsNotDoubledWhenThePoolCannotBeRead) {
    const auto saved = save(run(), 900, Pool::kRolling, {Pool::kKeep}).value();
    faults_.arm({.operation = fs::Operation::kOpen,
                 .path_part = "keep/step_00000900",
                 .os_errno = EMFILE,
                 .for_ever = true});
    EXPECT_FALSE(run().link(saved, Pool::kKeep, shared_buffers()).ok());
    EXPECT_THAT(tidy().failures, Contains(HasSubstr("cannot be read just now")));
    faults_.disarm();
    EXPECT_THAT(tidy().failures, IsEmpty());
    EXPECT_EQ(files_in("keep"), 1U);
}

}  // namespace
}  // namespace holdfast::checkpoint
