#include "checkpoint/reader.h"

#include <numeric>

#include <gmock/gmock.h>

#include "checkpoint/content_hash.h"
#include "checkpoint/tensor_map.h"
#include "checkpoint_fixture.h"
#include "fs/fault_file_system.h"

namespace holdfast::checkpoint {
namespace {

using base::ErrorKind;
using ::testing::HasSubstr;

struct Part {
    std::string file;
    std::vector<TensorSource> tensors;
    SafetensorsMetadata metadata;
};

class ReaderTest : public RunFixture {
protected:
    ReaderTest() {
        std::iota(values_.begin(), values_.end(), 1.0F);
        std::iota(other_.begin(), other_.end(), 1000.0F);
    }
    static std::span<const std::byte> bytes(const std::vector<float>& v,
                                            std::size_t begin,
                                            std::size_t end) {
        return std::as_bytes(std::span(v).subspan(begin, end - begin));
    }
    // A checkpoint of these files; its path.
    std::string write(const OpenedRun& opened, const std::vector<Part>& parts) {
        PendingSave save =
            opened.run.begin_save(make_save_id(), kTinyBytes, shared_buffers()).value();
        for (const Part& part : parts) {
            const auto added = save.add(part.file, part.tensors, part.metadata);
            EXPECT_TRUE(added.ok()) << added.error().what;
        }
        Manifest manifest = tiny_manifest(opened.run.identity().run_id, 1);
        manifest.identity.save_id = save.save_id();
        EXPECT_TRUE(save.seal(manifest).ok());
        return opened.run.publish(std::move(save), Pool::kRolling, shared_buffers()).value().path;
    }
    Part fragment(int part, std::uint64_t begin, std::uint64_t end) const {
        return {optimizer_file_name(part, 3),
                {{{fragment_name("m", begin, end), "F32", {static_cast<std::int64_t>(end - begin)}},
                  bytes(values_, begin, end)}},
                {{shape_key("m"), "4,6"}}};
    }
    std::string hash_of(const std::string& path) {
        auto reader = Reader::open(*file_system_, path);
        EXPECT_TRUE(reader.ok()) << reader.error().what;
        return base::to_hex(content_hash(reader.value()).value());
    }

    std::vector<float> values_ = std::vector<float>(24);
    std::vector<float> other_ = std::vector<float>(10);
    const TensorInfo whole_{"m", "F32", {4, 6}};
    const TensorInfo w_{"w", "F32", {10}};
};

TEST_F(ReaderTest, JoinsFragmentsOverPartsAndHashesThemAsOne) {
    const auto opened = open();
    const Part model{"model.safetensors", {{w_, bytes(other_, 0, 10)}}, {}};
    const std::string cut =
        write(opened.value(), {model, fragment(1, 0, 7), fragment(3, 20, 24), fragment(2, 7, 20)});
    const std::string one = write(
        opened.value(),
        {{"all.safetensors", {{whole_, bytes(values_, 0, 24)}, {w_, bytes(other_, 0, 10)}}, {}}});
    auto reader = Reader::open(*file_system_, cut).value();
    ASSERT_EQ(reader.tensors().size(), 2U);
    EXPECT_EQ(reader.tensors()[0].info, whole_);
    std::vector<float> m(24);
    std::vector<float> w(10);
    const std::vector<TensorTarget> targets{{whole_, std::as_writable_bytes(std::span(m))},
                                            {w_, std::as_writable_bytes(std::span(w))}};
    ASSERT_TRUE(reader.load(targets, Unrequested::kRefuse).ok());
    EXPECT_EQ(m, values_);
    EXPECT_EQ(w, other_);
    EXPECT_EQ(hash_of(cut), hash_of(one));
}

TEST_F(ReaderTest, LoadsARangeOfElements) {
    const auto opened = open();
    const std::string path =
        write(opened.value(), {fragment(1, 0, 7), fragment(2, 7, 20), fragment(3, 20, 24)});
    auto reader = Reader::open(*file_system_, path).value();
    std::vector<float> part(16);
    const std::vector<TensorTarget> targets{
        {whole_, std::as_writable_bytes(std::span(part)), 5, 21}};
    ASSERT_TRUE(reader.load(targets, Unrequested::kRefuse).ok());
    EXPECT_EQ(part, std::vector<float>(values_.begin() + 5, values_.begin() + 21));
}

TEST_F(ReaderTest, FragmentsThatDoNotTileAreDamage) {
    const auto opened = open();
    const std::vector<std::vector<Part>> wrong{
        {fragment(1, 0, 7), fragment(2, 8, 24)},
        {fragment(1, 0, 8), fragment(2, 7, 24)},
        {fragment(1, 0, 20)},
        {fragment(1, 4, 24)},
        {fragment(1, 0, 24), {"x.safetensors", {{whole_, bytes(values_, 0, 24)}}, {}}},
    };
    for (const auto& parts : wrong) {
        const auto reader = Reader::open(*file_system_, write(opened.value(), parts));
        ASSERT_FALSE(reader.ok());
        EXPECT_EQ(reader.error().kind, ErrorKind::kCorrupt);
    }
    Part shapeless = fragment(1, 0, 24);
    shapeless.metadata.clear();
    EXPECT_EQ(Reader::open(*file_system_, write(opened.value(), {shapeless})).error().kind,
              ErrorKind::kCorrupt);
}

TEST_F(ReaderTest, P7_WhatDoesNotFitIsNamedAndNothingIsWritten) {
    const auto opened = open();
    const auto published = save(opened.value().run, 250).value();
    auto reader = Reader::open(*file_system_, published.path).value();
    TinyState state;
    auto targets = state.targets();
    targets[0].info.shape = {8, 12};
    auto status = reader.load(targets, Unrequested::kRefuse);
    EXPECT_EQ(status.error().kind, ErrorKind::kInvalid);
    EXPECT_THAT(status.error().what, HasSubstr("wte.weight is F32 [12, 8], F32 [8, 12]"));
    targets = state.targets();
    targets[1].info.dtype = "BF16";
    EXPECT_EQ(reader.load(targets, Unrequested::kRefuse).error().kind, ErrorKind::kInvalid);
    targets = state.targets();
    targets[2].info.name = "optimizer.v";
    EXPECT_THAT(reader.load(targets, Unrequested::kRefuse).error().what, HasSubstr("optimizer.v"));
    targets = state.targets();
    targets.pop_back();
    EXPECT_THAT(reader.load(targets, Unrequested::kRefuse).error().what, HasSubstr("optimizer.m"));
    EXPECT_EQ(state, TinyState{});
    ASSERT_TRUE(reader.load(targets, Unrequested::kSkip).ok());
    EXPECT_EQ(state.weight, TinyState::of_step(250).weight);
}

// Chunks that hold several tensors, tensors that lie in several chunks, and bytes nobody asked for
// before, between and after them.
TEST_F(ReaderTest, FillsWhatWasAskedForAcrossChunks) {
    std::vector<float> long_values(10'000'000);
    std::iota(long_values.begin(), long_values.end(), 3.0F);
    const TensorInfo long_info{"long", "F32", {10'000'000}};
    const auto opened = open();
    const std::string path = write(opened.value(),
                                   {{"model.safetensors",
                                     {{w_, bytes(other_, 0, 10)},
                                      {long_info, bytes(long_values, 0, long_values.size())},
                                      {whole_, bytes(values_, 0, 24)},
                                      {{"v", "F32", {10}}, bytes(other_, 0, 10)}},
                                     {}}});
    for (const bool from_device : {false, true}) {
        auto reader = Reader::open(*file_system_, path).value();
        std::vector<float> middle(9'000'000);
        std::vector<float> m(24);
        const std::vector<TensorTarget> targets{
            {whole_, std::as_writable_bytes(std::span(m))},
            {long_info, std::as_writable_bytes(std::span(middle)), 500'001, 9'500'001}};
        const auto loaded = reader.load(
            targets, Unrequested::kSkip, {.thread_count = 2, .from_device = from_device});
        ASSERT_TRUE(loaded.ok()) << loaded.error().what;
        EXPECT_EQ(m, values_);
        EXPECT_TRUE(std::equal(middle.begin(), middle.end(), long_values.begin() + 500'001));
    }
    // In the middle of the second chunk, in place.
    flip_bit(path + "/model.safetensors", kChunkBytes + 4'000'000);
    std::vector<float> all(10'000'000);
    const std::vector<TensorTarget> target{{long_info, std::as_writable_bytes(std::span(all))}};
    const auto damaged = Reader::open(*file_system_, path).value().load(target, Unrequested::kSkip);
    ASSERT_FALSE(damaged.ok());
    EXPECT_EQ(damaged.error().kind, ErrorKind::kCorrupt);
    EXPECT_THAT(damaged.error().what, HasSubstr("are not the ones written"));
}

TEST_F(ReaderTest, RefusesToReadTheSameBytesTwice) {
    const auto opened = open();
    const auto published = save(opened.value().run, 250).value();
    auto reader = Reader::open(*file_system_, published.path).value();
    TinyState state;
    std::vector<float> again(4);
    auto targets = state.targets();
    targets.push_back({TinyState::bias_info(), std::as_writable_bytes(std::span(again)), 1, 5});
    const auto loaded = reader.load(targets, Unrequested::kRefuse);
    ASSERT_FALSE(loaded.ok());
    EXPECT_EQ(loaded.error().kind, ErrorKind::kInvalid);
    EXPECT_THAT(loaded.error().what, HasSubstr("twice"));
    EXPECT_EQ(state, TinyState{});
}

TEST_F(ReaderTest, ReadsOnAfterTheEntryWasRotatedAway) {
    const auto opened = open();
    const auto published = save(opened.value().run, 250).value();
    auto reader = Reader::open(*file_system_, published.path).value();
    std::filesystem::remove_all(published.path);
    TinyState state;
    ASSERT_TRUE(reader.load(state.targets(), Unrequested::kRefuse).ok());
    EXPECT_EQ(state, TinyState::of_step(250));
    EXPECT_TRUE(reader.verify().ok());
}

TEST_F(ReaderTest, SaysRotatedAwayWhenItWentWhileOpening) {
    const auto opened = open();
    const auto published = save(opened.value().run, 250).value();
    faults_.arm({.operation = fs::Operation::kOpen, .path_part = "optimizer", .os_errno = ENOENT});
    const auto reader = Reader::open(faults_, published.path);
    EXPECT_EQ(reader.error().kind, ErrorKind::kNotFound);
    EXPECT_THAT(reader.error().what, HasSubstr("rotated away"));
    EXPECT_EQ(Reader::open(faults_, in_run("rolling/step_00000001")).error().kind,
              ErrorKind::kNotFound);
}

TEST_F(ReaderTest, UnreadableIsNotDamaged) {
    const auto opened = open();
    const auto published = save(opened.value().run, 250).value();
    auto reader = Reader::open(faults_, published.path).value();
    for (const int error : {EIO, ESTALE, EACCES}) {
        faults_.arm(
            {.operation = fs::Operation::kRead, .path_part = "optimizer", .os_errno = error});
        TinyState state;
        EXPECT_EQ(reader.load(state.targets(), Unrequested::kRefuse).error().kind, ErrorKind::kIo);
    }
    faults_.arm({.operation = fs::Operation::kRead, .os_errno = EINTR});
    TinyState state;
    EXPECT_TRUE(reader.load(state.targets(), Unrequested::kRefuse).ok());
}

TEST_F(ReaderTest, HashNamesTheContentAndNothingElse) {
    const auto opened = open();
    const auto& run = opened.value().run;
    const auto hash = [&](const Manifest& manifest) {
        return hash_of(save(run, manifest).value().path);
    };
    const Manifest plain = tiny_manifest(run.identity().run_id, 9);
    const std::string reference = hash(plain);
    Manifest same = plain;
    same.created_utc_seconds += 100;
    same.environment = R"({"threads":8})";
    same.config = "{}";
    same.metrics_line = "{}";
    same.evaluation = EvaluationState::kDue;
    same.best = BestSoFar{1, 2.0, "v"};
    same.identity.lineage = 2;
    same.ancestors = {{1, 5, "00000000000000aa"}};
    EXPECT_EQ(hash(same), reference);
    const std::vector<void (*)(Manifest&)> changes{
        [](Manifest& m) { m.phase = "sft"; },
        [](Manifest& m) { m.cursor.epoch = 1; },
        [](Manifest& m) { m.cursor.sample += 1; },
        [](Manifest& m) { m.tokens += 1; },
        [](Manifest& m) { m.seed += 1; },
        [](Manifest& m) { m.lanes = 4; },
        [](Manifest& m) { m.identity.step = 10; },
    };
    for (const auto& change : changes) {
        Manifest changed = plain;
        change(changed);
        EXPECT_NE(hash(changed), reference);
    }
}

TEST(ContentHasher, HasAFixedValueForAFixedState) {
    ContentHasher hasher;
    const std::array<float, 2> values{1.0F, 2.0F};
    hasher.begin_tensor({"a", "F32", {2}});
    hasher.add_bytes(std::as_bytes(std::span(values)).first(3));
    hasher.add_bytes(std::as_bytes(std::span(values)).subspan(3));
    hasher.begin_tensor({"b", "F32", {0}});
    EXPECT_EQ(base::to_hex(hasher.finish(tiny_manifest("0123456789abcdef", 3))),
              "ec19a0504a3bcae29259497ee6b9f8bf");
}

TEST(FragmentName, ReadsBackAndRefusesOtherForms) {
    const auto fragment = parse_fragment_name(fragment_name("a.b@c", 3, 17));
    ASSERT_TRUE(fragment);
    EXPECT_EQ(fragment->name, "a.b@c");
    EXPECT_EQ(fragment->element_begin, 3U);
    EXPECT_EQ(fragment->element_end, 17U);
    for (const auto* name : {"a", "a@", "a@1", "a@:", "a@2:1", "a@1:x", "a@-1:2", "a@1:2:3"}) {
        EXPECT_FALSE(parse_fragment_name(name)) << name;
    }
}

}  // namespace
}  // namespace holdfast::checkpoint
