#include "checkpoint/entry_verifier.h"

#include <atomic>
#include <filesystem>

#include <gmock/gmock.h>

#include "checkpoint_fixture.h"

namespace holdfast::checkpoint {
namespace {

class EntryVerifier : public RunFixture {
protected:
    std::vector<Verification> verify(const std::vector<Entry>& entries, int threads = 2) {
        return verify_entries(
            *file_system_, entries, {.thread_count = threads, .on_bytes = [&](std::uint64_t more) {
                                         bytes_ += more;
                                     }});
    }
    std::vector<Entry> scan() { return scan_pools(*file_system_, RunPaths::of(dir_), {}).entries; }
    std::atomic<std::uint64_t> bytes_{0};
};

TEST_F(EntryVerifier, ReadsFilesOfSeveralNamesOnce) {
    const auto opened = open();
    ASSERT_TRUE(opened.ok());
    ASSERT_TRUE(save(opened.value().run, 0, Pool::kRolling, {Pool::kEpoch, Pool::kKeep}).ok());
    ASSERT_TRUE(save(opened.value().run, 1).ok());
    const std::vector<Entry> entries = scan();
    ASSERT_EQ(entries.size(), 4U);
    const auto verified = verify(entries);
    int read = 0;
    for (const Verification& one : verified) {
        EXPECT_EQ(one.verdict, Verdict::kSound) << one.why;
        read += one.same_files_as ? 0 : 1;
    }
    EXPECT_EQ(read, 2);
    EXPECT_EQ(bytes_, bytes_to_verify(*file_system_, entries));
    EXPECT_EQ(bytes_, entries.front().bytes + entries.back().bytes);
}

TEST_F(EntryVerifier, OneOtherFileIsAnotherCopy) {
    const auto opened = open();
    ASSERT_TRUE(opened.ok());
    ASSERT_TRUE(save(opened.value().run, 0, Pool::kRolling, {Pool::kEpoch}).ok());
    const std::string model = in_run("epoch/epoch_00000/model.safetensors");
    const std::string bytes = slurp(model);
    std::filesystem::remove(model);
    std::ofstream(model) << bytes;
    flip_bit(model, bytes.size() - 1);
    const auto verified = verify(scan());
    ASSERT_EQ(verified.size(), 2U);
    EXPECT_EQ(verified[0].verdict, Verdict::kSound);
    EXPECT_EQ(verified[1].verdict, Verdict::kDamaged);
    EXPECT_NE(verified[1].why.find("model.safetensors"), std::string::npos) << verified[1].why;
}

TEST_F(EntryVerifier, WhatIsRotatedAwayIsNoDamage) {
    const auto opened = open();
    ASSERT_TRUE(opened.ok());
    ASSERT_TRUE(save(opened.value().run, 0, Pool::kRolling, {Pool::kEpoch}).ok());
    ASSERT_TRUE(save(opened.value().run, 1).ok());
    const std::vector<Entry> entries = scan();
    std::filesystem::rename(in_run("rolling/step_00000000"), in_run(".trash/0"));
    std::filesystem::rename(in_run("rolling/step_00000001"), in_run(".trash/1"));
    for (const int threads : {1, 4}) {
        const auto verified = verify(entries, threads);
        ASSERT_EQ(verified.size(), 3U);
        EXPECT_EQ(verified[0].verdict, Verdict::kRotatedAway);
        EXPECT_EQ(verified[1].verdict, Verdict::kSound) << "the other name of the same files";
        EXPECT_EQ(verified[2].verdict, Verdict::kRotatedAway);
    }
}

TEST_F(EntryVerifier, ANameThatGoesMeanwhileLeavesTheOtherToBeRead) {
    const auto opened = open();
    ASSERT_TRUE(opened.ok());
    ASSERT_TRUE(save(opened.value().run, 0).ok());
    ASSERT_TRUE(save(opened.value().run, 1, Pool::kRolling, {Pool::kEpoch}).ok());
    const std::vector<Entry> entries = scan();
    bool is_gone = false;
    const auto rotate = [&](std::uint64_t) {
        if (!std::exchange(is_gone, true)) {
            std::filesystem::rename(in_run("rolling/step_00000001"), in_run(".trash/1"));
        }
    };
    const auto verified =
        verify_entries(*file_system_, entries, {.thread_count = 1, .on_bytes = rotate});
    ASSERT_EQ(verified.size(), 3U);
    EXPECT_EQ(verified[1].verdict, Verdict::kRotatedAway);
    EXPECT_EQ(verified[2].verdict, Verdict::kSound);
}

TEST_F(EntryVerifier, WhatTheSystemRefusesIsNotCalledDamaged) {
    const auto opened = open();
    ASSERT_TRUE(opened.ok());
    ASSERT_TRUE(save(opened.value().run, 0).ok());
    const std::vector<Entry> entries = scan();
    faults_.arm({.operation = fs::Operation::kOpen,
                 .path_part = "model",
                 .os_errno = EIO,
                 .for_ever = true});
    EXPECT_EQ(verify(entries).front().verdict, Verdict::kUnreadable);
}

}  // namespace
}  // namespace holdfast::checkpoint
