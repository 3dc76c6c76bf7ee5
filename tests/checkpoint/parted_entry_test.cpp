// What is done with any checkpoint is done with one that ranks wrote: several optimizer files,
// chunks cut anywhere.
#include <sys/resource.h>

#include <gmock/gmock.h>

#include "checkpoint/backup_writer.h"
#include "checkpoint/checkpoint_copy.h"
#include "checkpoint/entry_verifier.h"
#include "checkpoint/repair.h"
#include "parted_fixture.h"

namespace holdfast::checkpoint {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class PartedEntry : public PartedFixture {
protected:
    PartedEntry() : PartedFixture(Place::kMemory) {
        opened_.emplace(open().value());
        const auto saved = save_parts(opened_->run, state_.evenly(4), 7);
        EXPECT_TRUE(saved.ok()) << saved.error().what;
        published_ = saved.value();
        hash_ = hash_of(published_.path);
    }
    [[nodiscard]] Entry entry() const {
        return scan_entry(*file_system_, published_.path, Pool::kRolling, {}).value();
    }

    const LayeredState state_{7};
    std::optional<OpenedRun> opened_;
    PublishedCheckpoint published_;
    std::string hash_;
};

TEST_F(PartedEntry, IsListedWithAllItsBytes) {
    const Catalog catalog = opened_->run.scan();
    ASSERT_THAT(catalog.entries, SizeIs(1));
    EXPECT_TRUE(catalog.entries[0].usable()) << catalog.entries[0].why;
    std::uint64_t bytes = 0;
    for (const auto& file : std::filesystem::directory_iterator(published_.path)) {
        bytes += file.path().filename() == kManifestName ? 0 : file.file_size();
    }
    EXPECT_EQ(catalog.entries[0].bytes, bytes);
}

TEST_F(PartedEntry, P1_EveryByteOfEveryFileIsVerified) {
    for (const FileRecord& file : published_.manifest.files) {
        const std::string path = published_.path + '/' + file.name;
        for (std::size_t byte = 0; byte < file.bytes; byte += byte < 4000 ? 997 : 13) {
            flip_bit(path, byte);
            const auto found = verify_entries(*file_system_, std::vector{entry()}, {});
            EXPECT_EQ(found.front().verdict, Verdict::kDamaged) << file.name << ' ' << byte;
            flip_bit(path, byte);
        }
    }
    EXPECT_EQ(verify_entries(*file_system_, std::vector{entry()}, {}).front().verdict,
              Verdict::kSound);
}

TEST_F(PartedEntry, AMissingOrExchangedPartIsDamage) {
    const std::string first = published_.path + '/' + optimizer_file_name(1, 4);
    const std::string second = published_.path + '/' + optimizer_file_name(2, 4);
    std::filesystem::rename(first, published_.path + "/kept");
    EXPECT_EQ(entry().state, EntryState::kDamaged);
    std::filesystem::rename(second, first);
    std::filesystem::rename(published_.path + "/kept", second);
    const auto found = verify_entries(*file_system_, std::vector{entry()}, {});
    EXPECT_EQ(found.front().verdict, Verdict::kDamaged);
}

TEST_F(PartedEntry, IsCopiedLinkedAndBackedUp) {
    const auto copied =
        copy_checkpoint(*file_system_, entry(), temporary_ / "copy", shared_buffers(), {});
    ASSERT_TRUE(copied.ok()) << copied.error().what;
    EXPECT_EQ(hash_of(temporary_ / "copy"), hash_);
    const auto best = opened_->run.link(published_, Pool::kBest, shared_buffers());
    ASSERT_TRUE(best.ok()) << best.error().what;
    EXPECT_EQ(hash_of(best.value().path), hash_);
    {
        BackupWriter writer(opened_->run, {});
        writer.offer(published_);
        writer.wait();
        EXPECT_EQ(writer.status().newest, "backup/rolling/step_00000007");
    }
    EXPECT_EQ(hash_of(in_run("backup/rolling/step_00000007")), hash_);
    EXPECT_EQ(slurp(in_run("backup/rolling/step_00000007/checkpoint.json")),
              slurp(published_.path + "/checkpoint.json"));
}

TEST_F(PartedEntry, P1_ADamagedPartIsRepairedFromACopy) {
    ASSERT_TRUE(opened_->run.link(published_, Pool::kBackupRolling, shared_buffers()).ok());
    const std::string part = published_.path + '/' + optimizer_file_name(3, 4);
    flip_bit(part, slurp(part).size() - 1);
    Entry damaged = entry();
    damaged.why = "for the test";
    const auto repaired = repair_entry(opened_->run, damaged);
    ASSERT_TRUE(repaired);
    EXPECT_EQ(hash_of(published_.path), hash_);
    EXPECT_THAT(repaired->told, ElementsAre(HasSubstr("repaired from backup/rolling")));
}

TEST_F(PartedEntry, SavesOfOneRankAndOfSeveralFollowEachOtherInOneRun) {
    const LayeredState next(8);
    ASSERT_TRUE(save_whole(opened_->run, next, 8).ok());
    ASSERT_TRUE(save_parts(opened_->run, LayeredState(9).evenly(3), 9).ok());
    EXPECT_TRUE(opened_->run.tidy({.keep_rolling = 2}, shared_buffers()).failures.empty());
    EXPECT_THAT(labels(), ElementsAre("rolling/step_00000008", "rolling/step_00000009"));
    EXPECT_EQ(hash_of(in_run("rolling/step_00000008")),
              hash_of(save_parts(opened_->run, next.evenly(2), 8).value().path));
}

// Many ranks, many entries, as many threads as there may be: the descriptors suffice all the same.
TEST_F(PartedEntry, ManyPartsDoNotTakeAllDescriptors) {
    const auto wide = save_parts(opened_->run, state_.evenly(60), 8);
    ASSERT_TRUE(wide.ok()) << wide.error().what;
    for (int copy = 2; copy <= 16; ++copy) {
        std::filesystem::copy(wide.value().path, wide.value().path + '.' + std::to_string(copy));
    }
    const std::vector<Entry> entries = opened_->run.scan().entries;
    ASSERT_THAT(entries, SizeIs(17));
    rlimit usual{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &usual), 0);
    rlimit few = usual;
    few.rlim_cur = 1024;
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
    const auto verified = verify_entries(*file_system_, entries, {.thread_count = 16});
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &usual), 0);
    for (const Verification& one : verified) {
        EXPECT_EQ(one.verdict, Verdict::kSound) << one.why;
    }
}

}  // namespace
}  // namespace holdfast::checkpoint
