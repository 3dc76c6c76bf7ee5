#include "checkpoint/store_bench.h"

#include <numeric>

#include <gmock/gmock.h>

#include "checkpoint_fixture.h"

namespace holdfast::checkpoint {
namespace {

using base::ErrorKind;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class StoreBenchTest : public ::testing::Test {
protected:
    // Two chunks and a bit, so that blocks, chunks and threads meet.
    StoreBenchTest() : weights_(9'000'000), moments_(1000) {
        std::iota(weights_.begin(), weights_.end(), 1.0F);
        std::iota(moments_.begin(), moments_.end(), 5.0F);
    }
    base::Result<std::unique_ptr<StoreBench>> open(fs::FileSystem& file_system) {
        return StoreBench::open(file_system,
                                temporary_.path(),
                                {{{"w", "F32", {9'000'000}}, std::as_bytes(std::span(weights_))}},
                                {{{"m.w", "F32", {1000}}, std::as_bytes(std::span(moments_))}});
    }
    [[nodiscard]] std::vector<std::string> left_behind() const {
        return fs::real_file_system().list(temporary_.path()).value();
    }

    TemporaryDirectory temporary_;
    std::vector<float> weights_;
    std::vector<float> moments_;
};

TEST_F(StoreBenchTest, MeasuresEachPartAndRemovesItsFolder) {
    {
        const auto bench = open(fs::real_file_system()).value();
        for (int round = 0; round < 2; ++round) {
            EXPECT_GT(bench->write_raw().value(), 0);
            EXPECT_GT(bench->read_raw().value(), 0);
            const BenchedSave saved = bench->save().value();
            EXPECT_GT(saved.files.write_seconds, 0);
            EXPECT_GT(saved.files.read_back_seconds, 0);
            EXPECT_GT(saved.publish_seconds, 0);
            EXPECT_GE(
                saved.whole_seconds,
                saved.files.write_seconds + saved.files.read_back_seconds + saved.publish_seconds);
            for (const ReadFrom from : {ReadFrom::kDevice, ReadFrom::kCache}) {
                EXPECT_GT(bench->read_plain(from, 3).value(), 0);
                const auto loaded = bench->load(from, 3);
                ASSERT_TRUE(loaded.ok()) << loaded.error().what;
                EXPECT_GT(loaded.value(), 0);
            }
        }
        const auto scanned = bench->scan(20);
        ASSERT_TRUE(scanned.ok()) << scanned.error().what;
        EXPECT_EQ(left_behind().size(), 1U);
    }
    EXPECT_THAT(left_behind(), IsEmpty());
}

TEST_F(StoreBenchTest, TakesThePageCacheWhereDirectIsRefused) {
    fs::FaultFileSystem faults(fs::real_file_system());
    const auto bench = open(faults).value();
    faults.arm({.operation = fs::Operation::kWrite, .path_part = "/raw", .os_errno = EINVAL});
    ASSERT_TRUE(bench->write_raw().ok());
    EXPECT_TRUE(faults.fired());
    EXPECT_EQ(bench->disk_path(), Readback::kCache);
    EXPECT_TRUE(bench->read_raw().ok());
    ASSERT_TRUE(bench->save().ok());
    EXPECT_TRUE(bench->read_plain(ReadFrom::kDevice, 1).ok());
}

TEST_F(StoreBenchTest, P6_WithoutRoomNothingIsWritten) {
    EXPECT_GT(StoreBench::disk_bytes_needed(1'000), 2'000U);
    const TensorInfo info{"w", "F32", {1LL << 50U}};
    const auto* nowhere = reinterpret_cast<const std::byte*>(weights_.data());
    const auto refused = StoreBench::open(
        fs::real_file_system(), temporary_.path(), {{info, {nowhere, 1ULL << 52U}}}, {});
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().kind, ErrorKind::kNoSpace);
    EXPECT_THAT(refused.error().what, HasSubstr("is free"));
    EXPECT_THAT(left_behind(), IsEmpty());
}

TEST_F(StoreBenchTest, AnErrorOfTheDiskIsTold) {
    fs::FaultFileSystem faults(fs::real_file_system());
    const auto bench = open(faults).value();
    ASSERT_TRUE(bench->write_raw().ok());
    ASSERT_TRUE(bench->save().ok());
    faults.arm({.operation = fs::Operation::kRead, .path_part = "model", .for_ever = true});
    for (const int threads : {1, 3}) {
        EXPECT_EQ(bench->read_plain(ReadFrom::kCache, threads).error().kind, ErrorKind::kIo);
        EXPECT_EQ(bench->load(ReadFrom::kCache, threads).error().kind, ErrorKind::kIo);
    }
}

TEST_F(StoreBenchTest, WhatComesBackIsComparedWithTheState) {
    const auto bench = open(fs::real_file_system()).value();
    ASSERT_TRUE(bench->save().ok());
    weights_[8'999'999] = 0.0F;
    const auto loaded = bench->load(ReadFrom::kCache, 2);
    ASSERT_FALSE(loaded.ok());
    EXPECT_EQ(loaded.error().kind, ErrorKind::kCorrupt);
    EXPECT_THAT(loaded.error().what, HasSubstr("tensor w"));
}

}  // namespace
}  // namespace holdfast::checkpoint
