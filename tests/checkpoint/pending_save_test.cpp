#include "checkpoint/pending_save.h"

#include <filesystem>
#include <new>

#include <gmock/gmock.h>

#include "checkpoint/content_hash.h"
#include "checkpoint/pool_link.h"
#include "checkpoint_fixture.h"
#include "fs/fault_file_system.h"

namespace holdfast::checkpoint {
namespace {

using base::ErrorKind;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class PendingSaveTest : public RunFixture {};

TEST_F(PendingSaveTest, PublishesWhatWasAdded) {
    const auto opened = open();
    ASSERT_TRUE(opened.ok()) << opened.error().what;
    const auto published = save(opened.value().run, 250);
    ASSERT_TRUE(published.ok()) << published.error().what;
    EXPECT_EQ(published.value().path, in_run("rolling/step_00000250"));
    EXPECT_THAT(labels(), ElementsAre("rolling/step_00000250"));

    auto reader = Reader::open(*file_system_, published.value().path);
    ASSERT_TRUE(reader.ok()) << reader.error().what;
    EXPECT_EQ(reader.value().manifest(), published.value().manifest);
    TinyState state;
    const auto loaded = reader.value().load(state.targets(), Unrequested::kRefuse);
    ASSERT_TRUE(loaded.ok()) << loaded.error().what;
    EXPECT_EQ(state, TinyState::of_step(250));
}

TEST_F(PendingSaveTest, FilesAreReadOnlyAndDataStartsAligned) {
    const auto opened = open();
    const auto published = save(opened.value().run, 250).value();
    for (const auto* name : {"model.safetensors", "checkpoint.json"}) {
        const auto status = file_system_->status(published.path + '/' + name).value();
        EXPECT_EQ(status.mode & 0222U, 0U) << name;
        EXPECT_EQ(status.mode & 0400U, 0400U) << name;
    }
    auto file = file_system_->open(published.path + "/model.safetensors", {});
    const auto header = read_safetensors_header(*file.value(), "model");
    ASSERT_TRUE(header.ok()) << header.error().what;
    EXPECT_EQ(header.value().data_begin % 4096, 0U);
}

TEST_F(PendingSaveTest, NeverReachesTheStoreUnpublished) {
    const auto opened = open();
    {
        auto pending =
            sealed_save(opened.value().run.begin_save(make_save_id(), kTinyBytes, shared_buffers()),
                        tiny_manifest(opened.value().run.identity().run_id, 1));
        ASSERT_TRUE(pending.ok());
        EXPECT_THAT(labels(), IsEmpty());
    }
    for (const auto& entry : std::filesystem::directory_iterator(dir_)) {
        EXPECT_FALSE(parse_pending_name(entry.path().filename().string())) << entry.path();
    }
}

// Memory that runs out ends a save by an exception, and there is none for the removal either.
TEST_F(PendingSaveTest, IsLeftForLaterWhenThereIsNoMemoryToRemoveItWith) {
    class WithoutMemory : public fs::FaultFileSystem {
    public:
        using FaultFileSystem::FaultFileSystem;
        base::Result<std::vector<std::string>> list(const std::string& path) override {
            if (has_none_) {
                throw std::bad_alloc();
            }
            return FaultFileSystem::list(path);
        }
        bool has_none_ = false;
    };
    ASSERT_TRUE(open().ok());
    WithoutMemory disk(fs::real_file_system());
    std::string directory;
    {
        const auto pending = PendingSave::open(
            disk, RunPaths::of(dir_), make_save_id(), kTinyBytes, shared_buffers(), Pool::kRolling);
        ASSERT_TRUE(pending.ok()) << pending.error().what;
        directory = pending.value().directory();
        disk.has_none_ = true;
    }
    EXPECT_TRUE(std::filesystem::exists(directory));
    ASSERT_TRUE(open().ok());
    EXPECT_FALSE(std::filesystem::exists(directory));
}

TEST_F(PendingSaveTest, TakenNameGetsTheNextSuffix) {
    const auto opened = open();
    for (int i = 0; i < 3; ++i) {
        ASSERT_TRUE(save(opened.value().run, 7).ok());
    }
    EXPECT_THAT(labels(),
                ::testing::UnorderedElementsAre(
                    "rolling/step_00000007", "rolling/step_00000007.2", "rolling/step_00000007.3"));
}

TEST_F(PendingSaveTest, RefusesWithoutSpaceBeforeAnythingIsWritten) {
    const auto opened = open();
    const auto pending =
        opened.value().run.begin_save(make_save_id(), std::uint64_t{1} << 60U, shared_buffers());
    ASSERT_FALSE(pending.ok());
    EXPECT_EQ(pending.error().kind, ErrorKind::kNoSpace);
    EXPECT_THAT(pending.error().what, HasSubstr("is free"));
}

TEST_F(PendingSaveTest, RefusesWrongSizesAndNames) {
    const auto opened = open();
    const TinyState state;
    const auto begin = [&] {
        return opened.value().run.begin_save(make_save_id(), kTinyBytes, shared_buffers()).value();
    };
    std::vector<TensorSource> wrong = state.model_sources();
    wrong[0].bytes = wrong[0].bytes.first(4);
    EXPECT_EQ(begin().add("model.safetensors", wrong).error().kind, ErrorKind::kInvalid);
    for (const std::string name : {"../x", "", ".hidden", "a/b", "checkpoint.json"}) {
        EXPECT_FALSE(begin().add(name, state.model_sources()).ok()) << name;
    }
    PendingSave save = begin();
    ASSERT_TRUE(save.add("a", state.model_sources()).ok());
    EXPECT_FALSE(save.add("a", state.model_sources()).ok());
    EXPECT_FALSE(save.add("b", state.model_sources()).ok()) << "after a failure nothing goes on";
}

TEST_F(PendingSaveTest, ManyChunksStreamThroughBothBuffers) {
    const auto opened = open();
    std::vector<std::uint64_t> numbers((5 * kChunkBytes + 12345 * 8) / 16);
    for (std::size_t i = 0; i < numbers.size(); ++i) {
        numbers[i] = i * 0x9E3779B97F4A7C15ULL;
    }
    const TensorInfo info{"x", "I64", {static_cast<std::int64_t>(numbers.size())}};
    const std::vector<TensorSource> sources{{info, std::as_bytes(std::span(numbers))}};
    auto pending =
        opened.value().run.begin_save(make_save_id(), numbers.size() * 8, shared_buffers());
    PendingSave save = std::move(pending).value();
    ASSERT_TRUE(save.add("model.safetensors", sources).ok());
    Manifest manifest = tiny_manifest(opened.value().run.identity().run_id, 1);
    manifest.identity.save_id = save.save_id();
    ASSERT_TRUE(save.seal(manifest).ok());
    const auto published =
        opened.value().run.publish(std::move(save), Pool::kRolling, shared_buffers());
    ASSERT_TRUE(published.ok());
    EXPECT_EQ(published.value().manifest.files.at(0).chunks.size(), 3U);

    auto reader = Reader::open(*file_system_, published.value().path).value();
    std::vector<std::uint64_t> read(numbers.size());
    const std::vector<TensorTarget> targets{{info, std::as_writable_bytes(std::span(read))}};
    ASSERT_TRUE(reader.load(targets, Unrequested::kRefuse, {.from_device = true}).ok());
    EXPECT_EQ(read, numbers);
    EXPECT_TRUE(reader.verify().ok());
    // A byte in the last chunk.
    flip_bit(published.value().path + "/model.safetensors", 2 * kChunkBytes + 77);
    EXPECT_EQ(Reader::open(*file_system_, published.value().path).value().verify().error().kind,
              ErrorKind::kCorrupt);
}

TEST_F(PendingSaveTest, FallsBackToThePageCacheWhereDirectIsRefused) {
    const auto opened = open();
    // The first write of the model file, refused as a file system without O_DIRECT does.
    faults_.arm({.operation = fs::Operation::kWrite, .path_part = "model", .os_errno = EINVAL});
    const auto published = save(opened.value().run, 3);
    ASSERT_TRUE(published.ok()) << published.error().what;
    EXPECT_TRUE(faults_.fired());
    EXPECT_TRUE(Reader::open(faults_, published.value().path).value().verify().ok());
}

TEST_F(PendingSaveTest, NeverSyncsAFileTwice) {
    const auto opened = open();
    faults_.arm({.operation = fs::Operation::kSync, .path_part = "model", .os_errno = EIO});
    faults_.reset_count();
    EXPECT_FALSE(save(opened.value().run, 3).ok());
    int syncs = 0;
    for (const auto& [operation, path] : faults_.history()) {
        syncs += operation == fs::Operation::kSync && path.ends_with("model.safetensors") ? 1 : 0;
    }
    EXPECT_EQ(syncs, 1);
    EXPECT_THAT(labels(), IsEmpty());
}

TEST_F(PendingSaveTest, LinksShareOneCopyAndCopiesDoNot) {
    const auto opened = open();
    const auto published = save(opened.value().run, 250).value();
    const auto& run = opened.value().run;
    const auto keep = run.link(published, Pool::kKeep, shared_buffers());
    const auto backup = run.link(published, Pool::kBackupRolling, shared_buffers());
    ASSERT_TRUE(keep.ok()) << keep.error().what;
    ASSERT_TRUE(backup.ok()) << backup.error().what;
    const auto inode = [&](const std::string& path) {
        return file_system_->status(path + "/model.safetensors").value().inode;
    };
    EXPECT_EQ(inode(published.path), inode(keep.value().path));
    EXPECT_NE(inode(published.path), inode(backup.value().path));
    EXPECT_EQ(keep.value().path, in_run("keep/step_00000250"));
    EXPECT_EQ(backup.value().path, in_run("backup/rolling/step_00000250"));
    for (const auto& path : {keep.value().path, backup.value().path}) {
        EXPECT_TRUE(Reader::open(*file_system_, path).value().verify().ok());
    }
    // Joining again is joining once.
    EXPECT_EQ(run.link(published, Pool::kKeep, shared_buffers()).value().path, keep.value().path);
}

TEST_F(PendingSaveTest, CopiesWhereLinksAreNotSupported) {
    const auto opened = open();
    const auto published = save(opened.value().run, 250).value();
    faults_.arm({.at_call = 2, .operation = fs::Operation::kHardLink, .os_errno = EPERM});
    const auto best = opened.value().run.link(published, Pool::kBest, shared_buffers());
    ASSERT_TRUE(best.ok()) << best.error().what;
    EXPECT_TRUE(faults_.fired());
    EXPECT_EQ(file_system_->status(best.value().path + "/model.safetensors").value().link_count,
              1U);
    EXPECT_TRUE(Reader::open(faults_, best.value().path).value().verify().ok());
}

TEST_F(PendingSaveTest, CopyOfADamagedSourceIsRefused) {
    const auto opened = open();
    const auto published = save(opened.value().run, 250).value();
    flip_bit(published.path + "/model.safetensors", 4100);
    const auto copy = opened.value().run.link(published, Pool::kBackupRolling, shared_buffers());
    ASSERT_FALSE(copy.ok());
    EXPECT_EQ(copy.error().kind, ErrorKind::kCorrupt);
}

// The order that the promises rest on: data and manifest are durable before the name exists, the
// name before `latest` points at it.
TEST_F(PendingSaveTest, P1_OrderOfOperationsIsWriteSyncReadPublishPoint) {
    const auto opened = open();
    faults_.reset_count();
    ASSERT_TRUE(save(opened.value().run, 5, Pool::kRolling, {Pool::kKeep}).ok());
    using fs::Operation;
    const std::vector<std::pair<Operation, std::string>> expected{
        {Operation::kSpace, "run"},
        {Operation::kMakeDirectory, ".pending-"},
        {Operation::kReserve, "model.safetensors"},
        {Operation::kWrite, "model.safetensors"},
        {Operation::kSync, "model.safetensors"},
        {Operation::kRead, "model.safetensors"},
        {Operation::kSync, "optimizer-00001"},
        {Operation::kRead, "optimizer-00001"},
        {Operation::kWrite, "checkpoint.json"},
        {Operation::kSync, "checkpoint.json"},
        {Operation::kRead, "checkpoint.json"},
        {Operation::kSyncDirectory, ".pending-"},
        {Operation::kRename, "rolling/step_00000005"},
        {Operation::kSyncDirectory, "run/rolling"},
        {Operation::kSyncDirectory, "run"},
        {Operation::kHardLink, "model.safetensors"},
        {Operation::kRename, "keep/step_00000005"},
        {Operation::kSyncDirectory, "run/keep"},
        {Operation::kRename, "latest.new"},
    };
    std::size_t found = 0;
    for (const auto& [operation, path] : faults_.history()) {
        if (found < expected.size() && operation == expected[found].first &&
            path.find(expected[found].second) != std::string::npos) {
            ++found;
        }
    }
    EXPECT_EQ(found, expected.size())
        << "missing: " << expected[std::min(found, expected.size() - 1)].second;
}

}  // namespace
}  // namespace holdfast::checkpoint
