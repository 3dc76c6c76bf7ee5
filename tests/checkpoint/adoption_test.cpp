// What ranks answer is held against the save, against each other and against the disk.
#include <algorithm>

#include <gmock/gmock.h>

#include "checkpoint/shared_file.h"
#include "parted_fixture.h"

namespace holdfast::checkpoint {
namespace {

using base::ErrorKind;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class Adoption : public PartedFixture {
protected:
    Adoption() : PartedFixture(Place::kMemory) {}

    void SetUp() override {
        opened_.emplace(open().value());
        ASSERT_TRUE(save(opened_->run, 1).ok());
        begin_anew();
    }
    // A save of three ranks that all have answered.
    void begin_anew() {
        save_.reset();
        save_.emplace(begin(opened_->run).value());
        ASSERT_TRUE(save_->create_shared(kModelFileName, infos_of(state_.model())).ok());
        parts_.clear();
        for (std::int64_t rank = 0; rank < parted_.rank_count(); ++rank) {
            parts_.push_back(
                write_part(*file_system_, save_->directory(), parted_, rank, shared_buffers())
                    .value());
        }
    }
    // The error names what is wrong, the save is gone and the store as it was.
    void expect_refused(const std::string& words, ErrorKind kind = ErrorKind::kCorrupt) {
        const base::Status adopted = save_->adopt(parts_);
        ASSERT_FALSE(adopted.ok()) << words;
        EXPECT_EQ(adopted.error().kind, kind) << adopted.error().what;
        EXPECT_THAT(adopted.error().what, HasSubstr(words));
        EXPECT_FALSE(save_->seal(manifest()).ok()) << "after a failure nothing goes on";
        EXPECT_THAT(pending_directories(), IsEmpty());
        EXPECT_THAT(labels(), ElementsAre("rolling/step_00000001"));
    }
    [[nodiscard]] Manifest manifest() const {
        Manifest manifest = manifest_of(opened_->run, 7);
        manifest.identity.save_id = save_->save_id();
        return manifest;
    }

    const LayeredState state_{7};
    const PartedState parted_ = state_.evenly(3);
    std::optional<OpenedRun> opened_;
    std::optional<PendingSave> save_;
    std::vector<PartRecord> parts_;
};

TEST_F(Adoption, TakesThePartsInAnyOrderAndListsTheirFilesByRank) {
    std::swap(parts_[0], parts_[2]);
    const auto adopted = save_->adopt(parts_);
    ASSERT_TRUE(adopted.ok()) << adopted.error().what;
    ASSERT_TRUE(save_->seal(manifest()).ok());
    const auto published =
        opened_->run.publish(*std::exchange(save_, std::nullopt), Pool::kRolling, shared_buffers());
    ASSERT_TRUE(published.ok()) << published.error().what;
    std::vector<std::string> names;
    for (const FileRecord& file : published.value().manifest.files) {
        names.push_back(file.name);
    }
    EXPECT_THAT(names,
                ElementsAre("model.safetensors",
                            "optimizer-00001-of-00003.safetensors",
                            "optimizer-00002-of-00003.safetensors",
                            "optimizer-00003-of-00003.safetensors"));
    EXPECT_TRUE(Reader::open(*file_system_, published.value().path).value().verify().ok());
}

// Space, then the shared file, then what the ranks do; and after it is read-only it is synced and
// its header read back, before a manifest says that it is there.
TEST_F(Adoption, P1_OrderOfOperationsIsMakeAwaitSyncReadSealPublish) {
    faults_.reset_count();
    ASSERT_TRUE(save_parts(opened_->run, parted_, 7).ok());
    using fs::Operation;
    std::vector<std::pair<Operation, std::string>> expected{
        {Operation::kSpace, "run"},
        {Operation::kMakeDirectory, ".pending-"},
        {Operation::kOpen, "model.safetensors"},
        {Operation::kReserve, "model.safetensors"},
        {Operation::kWrite, "model.safetensors"},
    };
    for (int rank = 0; rank < 3; ++rank) {
        expected.insert(expected.end(),
                        {{Operation::kWrite, "model.safetensors"},
                         {Operation::kSync, "model.safetensors"},
                         {Operation::kRead, "model.safetensors"},
                         {Operation::kSync, "optimizer-0000"},
                         {Operation::kRead, "optimizer-0000"},
                         {Operation::kSyncDirectory, ".pending-"}});
    }
    expected.insert(expected.end(),
                    {{Operation::kSetPermissions, "model.safetensors"},
                     {Operation::kSync, "model.safetensors"},
                     {Operation::kRead, "model.safetensors"},
                     {Operation::kList, ".pending-"},
                     {Operation::kWrite, "checkpoint.json"},
                     {Operation::kSync, "checkpoint.json"},
                     {Operation::kRead, "checkpoint.json"},
                     {Operation::kSyncDirectory, ".pending-"},
                     {Operation::kRename, "rolling/step_00000007"},
                     {Operation::kSyncDirectory, "run/rolling"},
                     {Operation::kSyncDirectory, "run"}});
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

TEST_F(Adoption, RefusesRanksThatAreNotThoseOfTheSave) {
    parts_[2] = parts_[1];
    expect_refused("rank 1 answered twice");
    begin_anew();
    parts_.pop_back();
    expect_refused("bytes are missing");
    begin_anew();
    parts_.erase(parts_.begin());
    expect_refused("rank 2 answered where there are 2 parts");
    begin_anew();
    parts_[1].save_id = "00000000000000aa";
    expect_refused("rank 1 answered with its part of save 00000000000000aa");
    begin_anew();
    parts_[1].pieces.front().chunks.clear();
    expect_refused("the record of a part is wrong", ErrorKind::kInvalid);
}

TEST_F(Adoption, RefusesPiecesThatDoNotTileTheFileAndNamesRankAndByte) {
    const auto offset = [&](std::size_t rank, std::size_t piece) -> std::uint64_t& {
        return parts_[rank].pieces.at(piece).offset;
    };
    const std::string begin_of_1 = std::to_string(offset(1, 0));
    // Rank 1 is one byte late, then one early, then written over by the last of rank 0.
    offset(1, 0) += 1;
    expect_refused("the piece of rank 1 begins at byte " + std::to_string(offset(1, 0)) +
                   ", but rank 0 ends at " + begin_of_1 + ": bytes are missing");
    begin_anew();
    offset(1, 0) -= 1;
    expect_refused("but rank 0 ends at " + begin_of_1 + ": bytes are written twice");
    begin_anew();
    parts_[0].pieces.push_back(parts_[1].pieces.front());
    expect_refused("bytes are written twice");
    begin_anew();
    parts_[0].pieces.erase(parts_[0].pieces.begin());
    expect_refused("but the header ends at 4096: bytes are missing");
    begin_anew();
    parts_[2].pieces.pop_back();
    expect_refused("rank 2 ends at byte");
    begin_anew();
    parts_[2].pieces.back().chunks.push_back({1, 1});
    expect_refused("the piece of rank 2 at byte");
    begin_anew();
    // Into the header.
    offset(0, 0) = 0;
    expect_refused("the piece of rank 0 begins at byte 0, but the header ends at 4096");
    begin_anew();
    for (PartRecord& part : parts_) {
        part.pieces.clear();
    }
    expect_refused("the header ends at byte 4096");
}

TEST_F(Adoption, RefusesFilesThatAreNotTheRanksOwn) {
    parts_[1].files.front().name = parts_[2].files.front().name;
    expect_refused("which is no name or another's");
    begin_anew();
    parts_[1].files.front().name = kModelFileName;
    parts_[1].pieces.clear();
    expect_refused("bytes are missing");
    begin_anew();
    parts_[1].pieces.front().file_name = "other.safetensors";
    expect_refused("rank 1 wrote pieces of other.safetensors, which no rank was to share");
    begin_anew();
    parts_[1].pieces.front().file_name = parts_[2].files.front().name;
    expect_refused("which no rank was to share");
}

TEST_F(Adoption, RefusesLengthsThatTheDiskDoesNotHave) {
    const auto resize = [](const std::string& path, std::intmax_t more) {
        std::filesystem::permissions(
            path, std::filesystem::perms::owner_write, std::filesystem::perm_options::add);
        std::filesystem::resize_file(
            path, std::filesystem::file_size(path) + static_cast<std::uintmax_t>(more));
    };
    resize(save_->directory() + '/' + parts_[1].files.front().name, -1);
    expect_refused("the disk has " + std::to_string(parts_[1].files.front().bytes - 1));
    begin_anew();
    std::filesystem::remove(save_->directory() + '/' + parts_[1].files.front().name);
    expect_refused("the disk has no such file");
    begin_anew();
    resize(save_->directory() + "/model.safetensors", 1);
    expect_refused("after the ranks wrote it");
}

TEST_F(Adoption, AHeaderThatChangedIsFound) {
    poke(save_->directory() + "/model.safetensors", 20, 'X');
    expect_refused("are not the ones written");
}

TEST_F(Adoption, AForeignFileIsNeverPublished) {
    std::ofstream(save_->directory() + "/stranger") << "x";
    ASSERT_TRUE(save_->adopt(parts_).ok());
    const auto sealed = save_->seal(manifest());
    ASSERT_FALSE(sealed.ok());
    EXPECT_EQ(sealed.error().kind, ErrorKind::kCorrupt);
    EXPECT_THAT(sealed.error().what, HasSubstr("holds stranger, which nobody wrote"));
    EXPECT_THAT(pending_directories(), IsEmpty());
    // The file of a rank whose answer tells of none is foreign too.
    begin_anew();
    parts_[1].files.clear();
    ASSERT_TRUE(save_->adopt(parts_).ok());
    EXPECT_THAT(save_->seal(manifest()).error().what, HasSubstr(optimizer_file_name(2, 3)));
    // Hidden ones are the network disk's.
    begin_anew();
    std::ofstream(save_->directory() + "/.nfs0001") << "x";
    ASSERT_TRUE(save_->adopt(parts_).ok());
    EXPECT_TRUE(save_->seal(manifest()).ok());
}

// A network disk keeps what is removed while it is open, under another name in the directory, which
// then cannot be removed.
TEST_F(Adoption, ADroppedSaveHasNothingOpenThatItRemoves) {
    class Watching : public fs::FaultFileSystem {
    public:
        using FaultFileSystem::FaultFileSystem;
        base::Status remove_file(const std::string& path) override {
            for (const auto& open : std::filesystem::directory_iterator("/proc/self/fd")) {
                std::error_code closed;  // the listing's own is gone
                EXPECT_NE(std::filesystem::read_symlink(open.path(), closed), path);
            }
            ++removed;
            return FaultFileSystem::remove_file(path);
        }
        int removed = 0;
    };
    Watching watching(fs::real_file_system());
    for (const bool fails : {false, true}) {
        PendingSave save =
            PendingSave::open(
                watching, opened_->run.paths(), make_save_id(), kTinyBytes, shared_buffers())
                .value();
        ASSERT_TRUE(save.create_shared(kModelFileName, infos_of(state_.model())).ok());
        if (fails) {
            EXPECT_FALSE(save.adopt(parts_).ok());
        }
    }
    EXPECT_EQ(watching.removed, 2);
}

TEST_F(Adoption, HasItsPlaceInTheOrderOfASave) {
    EXPECT_THAT(save_->seal(manifest()).error().what, HasSubstr("before adopt()"));
    begin_anew();
    ASSERT_TRUE(save_->adopt(parts_).ok());
    EXPECT_THAT(save_->adopt(parts_).error().what, HasSubstr("twice"));
    begin_anew();
    ASSERT_TRUE(save_->adopt(parts_).ok());
    EXPECT_FALSE(save_->create_shared("more.safetensors", infos_of(state_.model())).ok());
    begin_anew();
    EXPECT_FALSE(save_->create_shared(kModelFileName, infos_of(state_.model())).ok());
    begin_anew();
    EXPECT_FALSE(save_->add(kModelFileName, state_.model()).ok());
}

TEST(SafetensorsLayout, IsWhatAReaderFinds) {
    const LayeredState state(1);
    const std::vector<TensorInfo> infos = infos_of(state.model());
    const SafetensorsMetadata metadata{{"format", "pt"}};
    const std::string header = build_safetensors_header(infos, metadata).value();
    const auto layout = lay_out_safetensors(infos, metadata).value();
    const auto parsed =
        parse_safetensors_header(std::string_view(header).substr(8), layout.file_bytes);
    ASSERT_TRUE(parsed.ok()) << parsed.error().what;
    EXPECT_EQ(layout.data_begin, parsed.value().data_begin);
    EXPECT_EQ(layout.metadata, parsed.value().metadata);
    for (const TensorInfo& info : infos) {
        EXPECT_EQ(*layout.find(info.name), *parsed.value().find(info.name)) << info.name;
    }
    const std::uint64_t ln = layout.find("ln.weight")->begin;
    EXPECT_EQ(element_bytes(layout, "ln.weight", 0, 7).value(), (ByteRange{ln, ln + 28}));
    EXPECT_EQ(element_bytes(layout, "ln.weight", 2, 5).value(), (ByteRange{ln + 8, ln + 20}));
    EXPECT_EQ(element_bytes(layout, "ln.weight", 7, 7).value(), (ByteRange{ln + 28, ln + 28}));
    EXPECT_EQ(element_bytes(layout, "empty", 0, 0).value().begin, layout.find("empty")->begin);
    EXPECT_EQ(element_bytes(layout, "ln.weight", 2, 8).error().kind, ErrorKind::kInvalid);
    EXPECT_EQ(element_bytes(layout, "ln.weight", 3, 2).error().kind, ErrorKind::kInvalid);
    EXPECT_EQ(element_bytes(layout, "none", 0, 1).error().kind, ErrorKind::kInvalid);
    EXPECT_EQ(lay_out_safetensors(std::vector<TensorInfo>{{"x", "F31", {1}}}, {}).error().kind,
              ErrorKind::kInvalid);
}

}  // namespace
}  // namespace holdfast::checkpoint
