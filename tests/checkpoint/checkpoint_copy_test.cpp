#include "checkpoint/checkpoint_copy.h"

#include <filesystem>

#include <gmock/gmock.h>

#include "checkpoint_fixture.h"

namespace holdfast::checkpoint {
namespace {

class CheckpointCopy : public RunFixture {
protected:
    void SetUp() override {
        auto opened = open();
        ASSERT_TRUE(opened.ok());
        const auto published = save(opened.value().run, 7);
        ASSERT_TRUE(published.ok());
        entry_ =
            scan_entry(fs::real_file_system(), published.value().path, Pool::kRolling, {}).value();
        std::filesystem::create_directories(outside());
    }
    [[nodiscard]] std::string outside(const std::string& name = "") const {
        return temporary_ / ("outside" + (name.empty() ? name : '/' + name));
    }
    base::Result<CopiedCheckpoint> copy(const std::string& path) {
        return copy_checkpoint(*file_system_, entry_, path, shared_buffers());
    }
    // Names in the target's folder, hidden ones too.
    [[nodiscard]] std::vector<std::string> outside_names() const {
        return fs::real_file_system().list(outside()).value();
    }
    Entry entry_;
};

TEST_F(CheckpointCopy, IsTheSameBytesInFilesOfItsOwn) {
    const auto copied = copy(outside("copy"));
    ASSERT_TRUE(copied.ok()) << copied.error().what;
    for (const char* name :
         {"checkpoint.json", "model.safetensors", "optimizer-00001-of-00001.safetensors"}) {
        const std::string there = outside("copy/" + std::string(name));
        EXPECT_EQ(slurp(there), slurp(entry_.path + '/' + name));
        EXPECT_EQ(std::filesystem::hard_link_count(there), 1U);
    }
    EXPECT_EQ(copied.value().manifest, entry_.manifest);
    EXPECT_THAT(outside_names(), ::testing::ElementsAre("copy"));
    auto reader = Reader::open(fs::real_file_system(), outside("copy"));
    ASSERT_TRUE(reader.ok());
    EXPECT_TRUE(reader.value().verify().ok());
}

TEST_F(CheckpointCopy, SyncsFilesAndNamesAndRenamesLast) {
    faults_.reset_count();
    ASSERT_TRUE(copy(outside("copy")).ok());
    std::vector<fs::Operation> order;
    for (const auto& [operation, path] : faults_.history()) {
        if (operation == fs::Operation::kSync || operation == fs::Operation::kSyncDirectory ||
            operation == fs::Operation::kRename) {
            order.push_back(operation);
        }
    }
    using fs::Operation;
    EXPECT_THAT(order,
                ::testing::ElementsAre(Operation::kSync,
                                       Operation::kSync,
                                       Operation::kSync,
                                       Operation::kSyncDirectory,
                                       Operation::kRename,
                                       Operation::kSyncDirectory));
}

TEST_F(CheckpointCopy, DamagedSourceGivesNoCopy) {
    const std::string model = entry_.path + "/model.safetensors";
    flip_bit(model, slurp(model).size() - 1);
    EXPECT_EQ(copy(outside("copy")).error().kind, base::ErrorKind::kCorrupt);
    EXPECT_THAT(outside_names(), ::testing::IsEmpty());
}

TEST_F(CheckpointCopy, P6_WhateverCallFailsTheTargetIsWholeOrNotThere) {
    faults_.reset_count();
    ASSERT_TRUE(copy(outside("counted")).ok());
    const std::uint64_t calls = faults_.calls();
    for (std::uint64_t k = 1; k <= calls; ++k) {
        const std::string path = outside("copy" + std::to_string(k));
        faults_.arm({.at_call = k, .os_errno = EIO});
        const auto copied = copy(path);
        faults_.disarm();
        if (copied.ok()) {
            auto reader = Reader::open(fs::real_file_system(), path);
            ASSERT_TRUE(reader.ok()) << k;
            EXPECT_TRUE(reader.value().verify(1).ok()) << k;
        } else {
            EXPECT_FALSE(std::filesystem::exists(path)) << k << ' ' << copied.error().what;
        }
        EXPECT_TRUE(Reader::open(fs::real_file_system(), entry_.path).ok()) << k;
    }
}

TEST_F(CheckpointCopy, SourceThatIsRotatedAwayIsNotFound) {
    std::filesystem::rename(entry_.path, in_run(".trash/0"));
    EXPECT_EQ(copy(outside("copy")).error().kind, base::ErrorKind::kNotFound);
}

TEST_F(CheckpointCopy, TargetIsANewNameOrADirectoryToCopyInto) {
    const auto target = [&](const std::string& path) {
        return copy_target(*file_system_, path, "step_00000007");
    };
    EXPECT_EQ(target(outside("new")).value(), outside("new"));
    EXPECT_EQ(target(outside() + "//").value(), outside("step_00000007"));
    ASSERT_TRUE(copy(outside("step_00000007")).ok());
    EXPECT_EQ(target(outside()).error().kind, base::ErrorKind::kExists);
    EXPECT_EQ(target(outside("step_00000007")).error().kind, base::ErrorKind::kExists)
        << "not into a checkpoint";
    std::ofstream(outside("file")) << "x";
    EXPECT_EQ(target(outside("file")).error().kind, base::ErrorKind::kExists);
    EXPECT_EQ(target(outside("no/such")).error().kind, base::ErrorKind::kNotFound);
}

TEST_F(CheckpointCopy, PoolOfARunIsNoTarget) {
    for (const char* pool : {"keep", "rolling", "backup/best"}) {
        EXPECT_EQ(copy_target(*file_system_, in_run(pool), "step_00000009").error().kind,
                  base::ErrorKind::kInvalid);
    }
}

}  // namespace
}  // namespace holdfast::checkpoint
