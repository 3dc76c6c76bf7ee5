// What ranks write together is what one writes alone, whatever they own.
#include "checkpoint/rank_part.h"

#include <algorithm>

#include <gmock/gmock.h>

#include "parted_fixture.h"

namespace holdfast::checkpoint {
namespace {

using base::ErrorKind;
using fs::Operation;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class RankPartTest : public PartedFixture {
protected:
    // A save with its shared model file, and what the ranks know of it.
    void SetUp() override {
        opened_.emplace(open().value());
        save_.emplace(begin(opened_->run).value());
        layout_ = save_->create_shared(kModelFileName, infos_of(state_.model())).value();
    }
    base::Result<RankPart> join(std::int64_t rank) {
        return RankPart::join(*file_system_, save_->directory(), rank, shared_buffers());
    }
    [[nodiscard]] std::string in_pending(const std::string& name) const {
        return save_->directory() + '/' + name;
    }

    const LayeredState state_{7};
    std::optional<OpenedRun> opened_;
    std::optional<PendingSave> save_;
    SafetensorsHeader layout_;
};

TEST_F(RankPartTest, P4_TheHashIsThatOfOneRankWhateverTheRanksOwn) {
    const RunDirectory& run = opened_->run;
    const auto whole = save_whole(run, state_, 7);
    ASSERT_TRUE(whole.ok()) << whole.error().what;
    const std::string expected = hash_of(whole.value().path);
    const std::uint64_t model = state_.model_elements();
    const std::uint64_t optimizer = state_.optimizer_elements();
    const std::uint64_t wte = 160;
    const std::vector<std::pair<const char*, PartedState>> cuts{
        {"one rank", state_.evenly(1)},
        {"two ranks, inside tensors", state_.evenly(2)},
        {"four ranks, inside tensors", state_.evenly(4)},
        {"two ranks, at the edge of a tensor",
         state_.owned_by(cut_at(model, {wte}), cut_at(optimizer, {wte}))},
        {"a rank without a part in either file",
         state_.owned_by(cut_at(model, {0, wte + 7, wte + 7}), cut_at(optimizer, {0, 100, 100}))},
        {"four ranks that own blocks in turn",
         state_.owned_by(dealt_out(model, 4, 13), dealt_out(optimizer, 4, 29))},
        {"two ranks, one element each in turn",
         state_.owned_by(dealt_out(model, 2, 1), dealt_out(optimizer, 2, 1))},
    };
    for (const auto& [name, parts] : cuts) {
        SCOPED_TRACE(name);
        const auto published = save_parts(run, parts, 7);
        ASSERT_TRUE(published.ok()) << published.error().what;
        EXPECT_EQ(hash_of(published.value().path), expected);
        EXPECT_EQ(published.value().manifest.files.size(), 1U + parts.model_owned.size());
        // The shared file is the very bytes that one rank writes.
        EXPECT_EQ(slurp(published.value().path + "/model.safetensors"),
                  slurp(whole.value().path + "/model.safetensors"));
    }
}

TEST_F(RankPartTest, LongPiecesAreCutIntoChunksThatTileTheFile) {
    const LayeredState large(3, 1'200'000);  // 38 MB
    const auto whole = save_whole(opened_->run, large, 3);
    const auto parts = save_parts(opened_->run, large.evenly(2), 3);
    ASSERT_TRUE(parts.ok()) << parts.error().what;
    EXPECT_EQ(hash_of(parts.value().path), hash_of(whole.value().path));
    const FileRecord& model = parts.value().manifest.files.front();
    EXPECT_EQ(model.name, kModelFileName);
    // The header; 16 MiB and the rest of the half of the first rank; the same of the second, whose
    // half has the small tensors too.
    std::vector<std::uint64_t> sizes;
    for (const ChunkRecord& chunk : model.chunks) {
        sizes.push_back(chunk.bytes);
    }
    EXPECT_EQ(sizes.front(), layout_.data_begin);
    EXPECT_EQ(std::count(sizes.begin(), sizes.end(), kChunkBytes), 2);
    EXPECT_EQ(std::accumulate(sizes.begin(), sizes.end(), std::uint64_t{0}), model.bytes);
}

TEST_F(RankPartTest, FilesAreReadOnlyInTheEntry) {
    const auto published = save_parts(opened_->run, state_.evenly(2), 7).value();
    for (const FileRecord& file : published.manifest.files) {
        const auto status = file_system_->status(published.path + '/' + file.name).value();
        EXPECT_EQ(status.mode & 0222U, 0U) << file.name;
        EXPECT_EQ(status.mode & 0400U, 0400U) << file.name;
    }
}

TEST_F(RankPartTest, ReadbackIsThatOfTheWorstPart) {
    const auto readback_with = [&](std::optional<Readback> of_rank_1) {
        PendingSave save = begin(opened_->run).value();
        EXPECT_TRUE(save.create_shared(kModelFileName, infos_of(state_.model())).ok());
        std::vector<PartRecord> parts;
        for (const std::int64_t rank : {0, 1}) {
            parts.push_back(
                write_part(
                    *file_system_, save.directory(), state_.evenly(2), rank, shared_buffers())
                    .value());
        }
        parts[1].readback = of_rank_1.value_or(parts[1].readback);
        EXPECT_TRUE(save.adopt(parts).ok());
        Manifest manifest = manifest_of(opened_->run, 7);
        manifest.identity.save_id = save.save_id();
        EXPECT_TRUE(save.seal(manifest).ok());
        return opened_->run.publish(std::move(save), Pool::kRolling, shared_buffers())
            .value()
            .manifest.readback;
    };
    if (readback_with({}) == Readback::kCache) {
        GTEST_SKIP() << "no O_DIRECT here";
    }
    EXPECT_EQ(readback_with(Readback::kCache), Readback::kCache);
}

TEST_F(RankPartTest, WhichTensorsAFileHoldsIsToldByAChunkOfItsOwn) {
    const auto published = save_parts(opened_->run, state_.evenly(2), 7).value();
    for (const FileRecord& file : published.manifest.files) {
        EXPECT_EQ(file.chunks.front().bytes % 4096, 0U) << file.name;
        EXPECT_EQ(file.chunks.front().bytes, 4096U) << file.name;
    }
}

// Waits for the pieces, the file and the names, in this order, and does nothing else to the
// directory.
TEST_F(RankPartTest, P1_APartIsOnTheDiskWhenItAnswers) {
    faults_.reset_count();
    const auto part =
        write_part(*file_system_, save_->directory(), state_.evenly(2), 1, shared_buffers());
    ASSERT_TRUE(part.ok()) << part.error().what;
    std::vector<std::string> order;
    for (const auto& [operation, path] : faults_.history()) {
        const std::string name = fs::name_of(path);
        switch (operation) {
            case Operation::kSync:
                order.push_back("sync " + name);
                break;
            case Operation::kSyncDirectory:
                EXPECT_EQ(path, save_->directory());
                order.emplace_back("sync names");
                break;
            case Operation::kMakeDirectory:
            case Operation::kRemoveDirectory:
            case Operation::kRemoveFile:
            case Operation::kRename:
            case Operation::kHardLink:
            case Operation::kList:
                ADD_FAILURE() << path;
                break;
            default:
                break;
        }
    }
    EXPECT_THAT(
        order,
        ElementsAre(
            "sync model.safetensors", "sync optimizer-00002-of-00002.safetensors", "sync names"));
}

// A network disk completes a page that was half written by reading the rest, when the file may be
// read; what another machine writes there meanwhile would be lost.
TEST_F(RankPartTest, OpensTheSharedFileForWritingAloneAndThroughThePageCache) {
    class Watching : public fs::FaultFileSystem {
    public:
        using FaultFileSystem::FaultFileSystem;
        base::Result<std::unique_ptr<fs::File>> open(const std::string& path,
                                                     const fs::OpenOptions& options) override {
            if (path.ends_with(kModelFileName) && options.mode != fs::OpenMode::kRead) {
                opened.emplace_back(options.mode, options.direct);
            }
            return FaultFileSystem::open(path, options);
        }
        std::vector<std::pair<fs::OpenMode, bool>> opened;
    };
    Watching watching(fs::real_file_system());
    ASSERT_TRUE(
        write_part(watching, save_->directory(), state_.evenly(2), 1, shared_buffers()).ok());
    EXPECT_THAT(watching.opened, ElementsAre(std::pair(fs::OpenMode::kWriteOnly, false)));
}

TEST_F(RankPartTest, P7_WhatIsNoPartOfTheSaveIsRefusedBeforeAByteIsWritten) {
    const std::string before = slurp(in_pending("model.safetensors"));
    const std::vector<std::byte> bytes(16, std::byte{0xAB});
    const std::uint64_t end = layout_.file_bytes;
    const std::vector<std::vector<PieceSource>> wrong{
        {{end - 8, bytes}},
        {{end + 100, bytes}},
        {{UINT64_MAX - 4, bytes}},
        {{layout_.data_begin, bytes}, {layout_.data_begin + 8, bytes}},
        {{layout_.data_begin + 8, bytes}, {layout_.data_begin, bytes}},
        {{layout_.data_begin, bytes}, {layout_.data_begin, bytes}},
    };
    for (const auto& pieces : wrong) {
        RankPart part = join(1).value();
        const auto refused = part.write_pieces(kModelFileName, pieces);
        ASSERT_FALSE(refused.ok());
        EXPECT_EQ(refused.error().kind, ErrorKind::kInvalid) << refused.error().what;
        EXPECT_THAT(refused.error().what, HasSubstr("the part of rank 1"));
        EXPECT_EQ(part.finish().error().kind, ErrorKind::kInvalid) << "nothing goes on";
    }
    EXPECT_EQ(slurp(in_pending("model.safetensors")), before);
    for (const std::string name : {"../x", "", ".hidden", "a/b", "checkpoint.json"}) {
        EXPECT_EQ(join(1).value().write_pieces(name, {}).error().kind, ErrorKind::kInvalid) << name;
        EXPECT_EQ(join(1).value().add(name, {}).error().kind, ErrorKind::kInvalid) << name;
    }
    EXPECT_EQ(join(1).value().add(kModelFileName, {}).error().kind, ErrorKind::kExists);
    const std::vector<PieceSource> piece{{0, bytes}};
    EXPECT_EQ(join(1).value().write_pieces("other.safetensors", piece).error().kind,
              ErrorKind::kNotFound);
}

TEST_F(RankPartTest, JoinsOnlyAPendingDirectoryThatIsThere) {
    const auto join_in = [&](const std::string& path, std::int64_t rank) {
        return RankPart::join(*file_system_, path, rank, shared_buffers());
    };
    EXPECT_EQ(join_in(dir_, 0).error().kind, ErrorKind::kInvalid);
    EXPECT_EQ(join_in(save_->directory(), -1).error().kind, ErrorKind::kInvalid);
    EXPECT_EQ(join_in(in_run(".pending-00000000000000aa"), 0).error().kind, ErrorKind::kNotFound);
    std::ofstream(in_run(".pending-00000000000000bb")) << "a file";
    EXPECT_EQ(join_in(in_run(".pending-00000000000000bb"), 0).error().kind, ErrorKind::kInvalid);
    const std::string dropped = save_->directory();
    RankPart part = join(1).value();
    save_.reset();
    EXPECT_EQ(join_in(dropped, 0).error().kind, ErrorKind::kNotFound);
    EXPECT_EQ(part.add("a", {}).error().kind, ErrorKind::kNotFound);
    EXPECT_THAT(pending_directories(), ElementsAre(".pending-00000000000000bb"));
}

TEST_F(RankPartTest, PiecesAreWrittenOnceAndAPartEndsOnce) {
    RankPart part = join(0).value();
    const std::vector<std::byte> bytes(4, std::byte{1});
    const std::vector<PieceSource> none{{layout_.data_begin, {}}};
    const std::vector<PieceSource> one{{layout_.data_begin, bytes}};
    EXPECT_TRUE(part.write_pieces(kModelFileName, none).ok());
    EXPECT_TRUE(part.write_pieces(kModelFileName, one).ok());
    const auto record = part.finish();
    ASSERT_TRUE(record.ok());
    EXPECT_EQ(record.value().pieces.size(), 1U) << "an empty piece is none";
    EXPECT_EQ(part.finish().error().kind, ErrorKind::kInvalid);
    RankPart again = join(0).value();
    EXPECT_TRUE(again.write_pieces(kModelFileName, one).ok());
    EXPECT_EQ(again.write_pieces(kModelFileName, one).error().kind, ErrorKind::kInvalid);
}

// The bytes change between the write and the reading back.
TEST_F(RankPartTest, P6_WhatComesBackOtherThanWrittenFailsThePart) {
    for (const auto* file : {"model.safetensors", "optimizer-00002-of-00002.safetensors"}) {
        class Flipping : public fs::FaultFileSystem {
        public:
            Flipping(fs::FileSystem& inner, std::string name)
                : FaultFileSystem(inner), name_(std::move(name)) {}
            base::Result<std::unique_ptr<fs::File>> open(const std::string& path,
                                                         const fs::OpenOptions& options) override {
                if (options.mode == fs::OpenMode::kRead && path.ends_with(name_)) {
                    flip_bit(path, slurp(path).size() - 4);
                    name_ = "none";
                }
                return FaultFileSystem::open(path, options);
            }

        private:
            std::string name_;
        };
        Flipping flipping(fs::real_file_system(), file);
        PendingSave save = begin(opened_->run).value();
        ASSERT_TRUE(save.create_shared(kModelFileName, infos_of(state_.model())).ok());
        const auto part =
            write_part(flipping, save.directory(), state_.evenly(2), 1, shared_buffers());
        ASSERT_FALSE(part.ok()) << file;
        EXPECT_EQ(part.error().kind, ErrorKind::kCorrupt);
        EXPECT_THAT(part.error().what, HasSubstr(file));
    }
}

TEST_F(RankPartTest, GoesWithoutReservationWhereThereIsNone) {
    const std::string expected = hash_of(save_whole(opened_->run, state_, 7).value().path);
    faults_.arm({.operation = Operation::kReserve, .os_errno = EOPNOTSUPP, .for_ever = true});
    const auto published = save_parts(opened_->run, state_.evenly(2), 7);
    faults_.disarm();
    ASSERT_TRUE(published.ok()) << published.error().what;
    EXPECT_EQ(hash_of(published.value().path), expected);
}

TEST_F(RankPartTest, P6_AFullDiskIsToldBeforeAnyRankWrites) {
    save_.reset();
    faults_.arm({.operation = Operation::kReserve,
                 .path_part = "model",
                 .os_errno = ENOSPC,
                 .for_ever = true});
    PendingSave save = begin(opened_->run).value();
    const auto layout = save.create_shared(kModelFileName, infos_of(state_.model()));
    ASSERT_FALSE(layout.ok());
    EXPECT_EQ(layout.error().kind, ErrorKind::kNoSpace);
    EXPECT_THAT(pending_directories(), IsEmpty());
}

// A signal breaks a sync off: what it would have told is gone, so the bytes are written again.
TEST_F(RankPartTest, AnInterruptedSyncIsNotNoticed) {
    for (const std::uint64_t sync : {1U, 2U, 3U, 4U, 5U, 6U}) {
        faults_.arm({.at_call = sync, .operation = Operation::kSync, .os_errno = EINTR});
        faults_.reset_count();
        const auto published = save_parts(opened_->run, state_.evenly(2), 7);
        EXPECT_TRUE(faults_.fired());
        faults_.disarm();
        ASSERT_TRUE(published.ok()) << sync << ": " << published.error().what;
        const auto history = faults_.history();
        std::uint64_t count = 0;
        const auto broken_off = std::find_if(history.begin(), history.end(), [&](const auto& call) {
            return call.first == Operation::kSync && ++count == sync;
        });
        const auto next = std::find_if(broken_off + 1, history.end(), [&](const auto& call) {
            return call.second == broken_off->second &&
                   (call.first == Operation::kWrite || call.first == Operation::kSync);
        });
        ASSERT_NE(next, history.end());
        EXPECT_EQ(next->first, Operation::kWrite) << sync << ": " << next->second;
    }
}

}  // namespace
}  // namespace holdfast::checkpoint
