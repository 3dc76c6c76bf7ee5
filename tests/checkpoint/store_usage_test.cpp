#include "checkpoint/store_usage.h"

#include <filesystem>

#include <gmock/gmock.h>

#include "checkpoint/reclaim.h"
#include "checkpoint_fixture.h"

namespace holdfast::checkpoint {
namespace {

class StoreUsage : public RunFixture {
protected:
    std::vector<StoredItem> items() {
        const RunPaths paths = RunPaths::of(dir_);
        return stored_items(*file_system_, paths, scan_pools(*file_system_, paths, {})).value();
    }
    static std::vector<std::string> labels(const std::vector<StoredItem>& items) {
        std::vector<std::string> labels;
        for (const StoredItem& item : items) {
            labels.push_back(item.label);
        }
        return labels;
    }
    void make_all_kinds() {
        std::filesystem::create_directories(in_run("quarantine/000001_rolling_step_00000009"));
        std::ofstream(in_run("quarantine/000001_rolling_step_00000009/checkpoint.json")) << "x";
        std::filesystem::create_directories(in_run(".trash/00000000000000ff"));
        std::ofstream(in_run(".trash/00000000000000ff/model.safetensors")) << "x";
        std::filesystem::create_directories(in_run(".pending-00000000000000ff"));
        std::filesystem::create_directories(in_run("backup/.pending-00000000000000fe"));
        std::ofstream(in_run("run.json.new")) << "x";
        std::filesystem::create_directories(in_run("backup/quarantine/000002_backup_best_step_1"));
        std::filesystem::create_directories(in_run("backup/.trash/00000000000000fd"));
        std::ofstream(in_run("backup/.trash/00000000000000fd/model.safetensors")) << "x";
        std::ofstream(in_run("backup/backup.json.new")) << "x";
    }
};

TEST_F(StoreUsage, NamesEverythingThatHoldsSpace) {
    const auto opened = open();
    ASSERT_TRUE(opened.ok());
    ASSERT_TRUE(save(opened.value().run, 0).ok());
    make_all_kinds();
    EXPECT_THAT(labels(items()),
                ::testing::ElementsAre("rolling/step_00000000",
                                       "quarantine/000001_rolling_step_00000009",
                                       "backup/quarantine/000002_backup_best_step_1",
                                       ".trash/00000000000000ff",
                                       ".pending-00000000000000ff",
                                       "run.json.new",
                                       "backup/.trash/00000000000000fd",
                                       "backup/.pending-00000000000000fe",
                                       "backup/backup.json.new"));
}

TEST_F(StoreUsage, LeftoversOnABackupDiskAreNobodysToCount) {
    ASSERT_TRUE(open().ok());
    const RunPaths paths = RunPaths::of(dir_, temporary_ / "elsewhere");
    std::filesystem::create_directories(temporary_ / "elsewhere/.pending-00000000000000fe");
    std::filesystem::create_directories(temporary_ / "elsewhere/.trash/00000000000000fd");
    EXPECT_THAT(stored_items(*file_system_, paths, {}).value(), ::testing::IsEmpty());
}

TEST_F(StoreUsage, FilesOfSeveralNamesAreCountedOnceAndFreedWithTheLast) {
    const auto opened = open();
    ASSERT_TRUE(opened.ok());
    ASSERT_TRUE(save(opened.value().run, 0, Pool::kRolling, {Pool::kEpoch}).ok());
    const auto both = items();
    ASSERT_EQ(both.size(), 2U);
    EXPECT_GT(both[0].disk_bytes(), 0U);
    EXPECT_EQ(disk_bytes_of(both), both[0].disk_bytes());
    EXPECT_EQ(freed_bytes_of(std::span(both).first(1)), 0U);
    EXPECT_EQ(freed_bytes_of(both), both[0].disk_bytes());
}

TEST_F(StoreUsage, UnknownNamesAreThoseThisProgramDoesNotGive) {
    const auto opened = open();
    ASSERT_TRUE(opened.ok());
    ASSERT_TRUE(save(opened.value().run, 0).ok());
    make_all_kinds();
    std::ofstream(in_run("notes.txt")) << "x";
    std::ofstream(in_run("rolling/model.bin")) << "x";
    std::filesystem::create_directories(in_run("quarantine/mine"));
    EXPECT_THAT(unknown_names(*file_system_, RunPaths::of(dir_)),
                ::testing::ElementsAre("notes.txt", "quarantine/mine", "rolling/model.bin"));
}

TEST_F(StoreUsage, ClearingByHandTakesQuarantineAndLeftoversAndNothingElse) {
    const auto opened = open();
    ASSERT_TRUE(opened.ok());
    ASSERT_TRUE(save(opened.value().run, 0).ok());
    make_all_kinds();
    std::filesystem::create_directories(in_run("quarantine/mine"));
    const std::vector<StoredItem> before = items();
    const std::uint64_t expected = freed_bytes_of(std::span(before).subspan(1));
    Reclaimer reclaimer(*file_system_, RunPaths::of(dir_));
    ReclaimReport report;
    for (const Pool side : {Pool::kRolling, Pool::kBackupRolling}) {
        report.merge(reclaimer.clear_leftovers({}, side));
        report.merge(reclaimer.clear_temporaries(side));
        report.merge(reclaimer.clear_quarantine(side));
    }
    EXPECT_THAT(report.failures, ::testing::IsEmpty());
    EXPECT_EQ(report.freed_bytes, expected);
    EXPECT_THAT(labels(items()), ::testing::ElementsAre("rolling/step_00000000"));
    EXPECT_TRUE(std::filesystem::exists(in_run("quarantine/mine")));
    EXPECT_TRUE(std::filesystem::is_empty(in_run(".trash")));
}

}  // namespace
}  // namespace holdfast::checkpoint
