// RunDirectory::make_room over real directories.
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>

#include "checkpoint/run_directory.h"
#include "checkpoint_fixture.h"

namespace holdfast::checkpoint {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

using MakeRoomTest = RunFixture;

// More than any disk has, so that all that may go goes.
constexpr std::uint64_t kMoreThanAnyDisk = std::uint64_t{1} << 62U;

TEST_F(MakeRoomTest, P6_TakesLeftoversFirst) {
    const auto opened = open();
    const RunDirectory& run = opened.value().run;
    for (const std::int64_t step : {0, 1, 2}) {
        ASSERT_TRUE(save(run, step).ok());
    }
    std::filesystem::create_directories(in_run(".pending-0123456789abcdef"));
    std::ofstream(in_run(".pending-0123456789abcdef/model.safetensors")) << std::string(8192, 'x');
    const RoomReport room = run.make_room(8192);
    EXPECT_TRUE(room.is_enough);
    EXPECT_GE(room.reclaimed.freed_bytes, 8192U);
    EXPECT_THAT(room.reclaimed.deleted, ::testing::IsEmpty());
    EXPECT_FALSE(std::filesystem::exists(in_run(".pending-0123456789abcdef")));
}

TEST_F(MakeRoomTest, P6_StopsWhenItIsEnough) {
    const auto opened = open();
    const RunDirectory& run = opened.value().run;
    for (const std::int64_t step : {0, 1, 2, 3, 4}) {
        ASSERT_TRUE(save(run, step).ok());
    }
    const RoomReport room = run.make_room(1);
    EXPECT_TRUE(room.is_enough);
    EXPECT_THAT(room.reclaimed.deleted, ElementsAre("rolling/step_00000000"));
}

// A disk that says how much room it has.
class SizedDisk : public fs::FaultFileSystem {
public:
    SizedDisk() : FaultFileSystem(fs::real_file_system()) { let_syncs_reach_disk(false); }
    static constexpr std::uint64_t kAvailableBytes = 1U << 30U;
    base::Result<fs::SpaceStatus> space(const std::string& /*path*/) override {
        return fs::SpaceStatus{.total_bytes = 2 * kAvailableBytes,
                               .available_bytes = kAvailableBytes};
    }
};

TEST_F(MakeRoomTest, P6_FreesWhatIsMissingAndNoMore) {
    SizedDisk disk;
    file_system_ = &disk;
    const auto opened = open();
    const RunDirectory& run = opened.value().run;
    for (const std::int64_t step : {0, 1, 2, 3, 4}) {
        ASSERT_TRUE(save(run, step).ok());
    }
    const RoomReport room = run.make_room(SizedDisk::kAvailableBytes + 1);
    EXPECT_TRUE(room.is_enough);
    EXPECT_THAT(room.reclaimed.deleted, ElementsAre("rolling/step_00000000"));
    // There is space, and the save was refused all the same: a quota, which counts all of it.
    EXPECT_FALSE(run.make_room(SizedDisk::kAvailableBytes).is_enough);
    EXPECT_THAT(labels(), ElementsAre("rolling/step_00000003", "rolling/step_00000004"));
}

TEST_F(MakeRoomTest, P1_KeepsTheTwoNewestAndSaysThatItIsNotEnough) {
    const auto opened = open();
    const RunDirectory& run = opened.value().run;
    ASSERT_TRUE(run.link(save(run, 0).value(), Pool::kBest, shared_buffers()).ok());
    for (const std::int64_t step : {1, 2, 3}) {
        ASSERT_TRUE(save(run, step).ok());
    }
    const RoomReport room = run.make_room(kMoreThanAnyDisk);
    EXPECT_FALSE(room.is_enough);
    EXPECT_THAT(room.reclaimed.deleted, ElementsAre("rolling/step_00000001"));
    EXPECT_THAT(labels(),
                ElementsAre("rolling/step_00000000",
                            "best/step_00000000",
                            "rolling/step_00000002",
                            "rolling/step_00000003"));
}

TEST_F(MakeRoomTest, P6_PassesOverWhatWillNotGo) {
    const auto opened = open();
    const RunDirectory& run = opened.value().run;
    for (const std::int64_t step : {0, 1, 2, 3}) {
        ASSERT_TRUE(save(run, step).ok());
    }
    faults_.arm({.operation = fs::Operation::kRename,
                 .path_part = "rolling/step_00000000",
                 .os_errno = EBUSY,
                 .for_ever = true});
    const RoomReport room = run.make_room(1);
    EXPECT_TRUE(room.is_enough);
    EXPECT_THAT(room.reclaimed.failures, ElementsAre(HasSubstr("rolling/step_00000000")));
    EXPECT_THAT(room.reclaimed.deleted, ElementsAre("rolling/step_00000001"));
}

TEST_F(MakeRoomTest, OfAnUnreadableDiskTakesAllAsMissing) {
    const auto opened = open();
    const RunDirectory& run = opened.value().run;
    for (const std::int64_t step : {0, 1, 2}) {
        ASSERT_TRUE(save(run, step).ok());
    }
    faults_.arm({.operation = fs::Operation::kSpace, .os_errno = EIO, .for_ever = true});
    EXPECT_TRUE(run.make_room(1).is_enough);
    EXPECT_THAT(labels(), ElementsAre("rolling/step_00000001", "rolling/step_00000002"));
}

}  // namespace
}  // namespace holdfast::checkpoint
