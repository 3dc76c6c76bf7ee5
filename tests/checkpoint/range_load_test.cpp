// A rank that wants its ranges reads them and little else, and verifies what it reads.
#include <gmock/gmock.h>

#include "parted_fixture.h"

namespace holdfast::checkpoint {
namespace {

using base::ErrorKind;

class RangeLoad : public PartedFixture {
protected:
    RangeLoad() : PartedFixture(Place::kMemory) { opened_.emplace(open().value()); }

    struct Loaded {
        base::Status status;
        std::uint64_t bytes_read = 0;
    };
    // The elements [begin, end) of the big tensor, and nothing of the others.
    Loaded load(const std::string& path,
                const char* name,
                std::uint64_t begin,
                std::uint64_t end,
                const ReadOptions& options) {
        auto reader = Reader::open(*file_system_, path).value();
        values_.assign(end - begin, 0.0F);
        std::vector<TensorTarget> targets;
        for (const LogicalTensor& tensor : reader.tensors()) {
            const bool is_it = tensor.info.name == name;
            targets.push_back(
                {tensor.info,
                 is_it ? std::as_writable_bytes(std::span(values_)) : std::span<std::byte>{},
                 is_it ? begin : 0,
                 is_it ? end : 0});
        }
        faults_.reset_count();
        const base::Status status = reader.load(targets, Unrequested::kRefuse, options);
        return {status, faults_.bytes_read()};
    }
    // Of a tensor whose values count up.
    void expect_values(float first) {
        for (std::size_t i = 0; i < values_.size(); ++i) {
            ASSERT_EQ(values_[i], first + static_cast<float>(i)) << i;
        }
    }

    std::optional<OpenedRun> opened_;
    std::vector<float> values_;
};

TEST_F(RangeLoad, ReadsTheBytesAskedForAndTwoChunksARangeAtMost) {
    // 61 MB of weights, and two moments.
    const LayeredState state(0, 1'900'000);
    const std::uint64_t elements = std::uint64_t{1'900'000} * 8;
    const auto one = save_whole(opened_->run, state, 1);
    const auto parts = save_parts(opened_->run, state.evenly(4), 1);
    ASSERT_TRUE(parts.ok()) << parts.error().what;
    // The elements at the borders of chunks: of the file of one rank, and of the pieces of two.
    const std::uint64_t cut = (kChunkBytes - 4096) / sizeof(float);
    ASSERT_EQ(parts.value().manifest.files.front().chunks.front().bytes, 4096U) << "the header";
    const std::uint64_t border = state.model_elements() / 4;
    for (const std::string& path : {one.value().path, parts.value().path}) {
        for (const bool from_device : {false, true}) {
            for (const auto& [begin, end] : {std::pair<std::uint64_t, std::uint64_t>{0, 10},
                                             {5'000'000, 5'000'001},
                                             {4'100'000, 9'300'000},
                                             {elements - 3, elements},
                                             {0, elements},
                                             {77, 77},
                                             {cut - 1, cut},
                                             {cut, cut + 1},
                                             {cut - 1, cut + 1},
                                             {border - 1, border},
                                             {border, border + 1},
                                             {border - 1, border + 1}}) {
                const Loaded loaded = load(path,
                                           "wte.weight",
                                           begin,
                                           end,
                                           {.thread_count = 2,
                                            .scope = ReadScope::kAskedChunks,
                                            .from_device = from_device});
                ASSERT_TRUE(loaded.status.ok()) << loaded.status.error().what;
                expect_values(static_cast<float>(begin));
                const std::uint64_t asked = (end - begin) * sizeof(float);
                EXPECT_GE(loaded.bytes_read, asked);
                // Direct reads are rounded to the alignment, chunk by chunk.
                EXPECT_LE(loaded.bytes_read,
                          asked + (asked > 0 ? 2 * kChunkBytes + 16 * kDirectAlignment : 0) +
                              (from_device ? parts.value().manifest.files.size() * 4096 : 0))
                    << path << ' ' << begin << ' ' << end;
            }
        }
    }
}

TEST_F(RangeLoad, OfFragmentsOnlyTheFilesThatHoldTheRangeAreRead) {
    const LayeredState state(0);
    const auto parts = save_parts(opened_->run, state.evenly(4), 1).value();
    for (const bool from_device : {false, true}) {
        const Loaded loaded =
            load(parts.path,
                 "v.head.weight",
                 44,
                 45,
                 {.thread_count = 1, .scope = ReadScope::kAskedChunks, .from_device = from_device});
        ASSERT_TRUE(loaded.status.ok());
        for (const auto& [operation, path] : faults_.history()) {
            EXPECT_TRUE(path.ends_with(optimizer_file_name(4, 4))) << path;
        }
        if (!from_device) {
            EXPECT_LE(loaded.bytes_read, parts.manifest.files.back().bytes - 4096);
        }
    }
}

TEST_F(RangeLoad, WholeFilesAreTheDefault) {
    const LayeredState state(0);
    const auto parts = save_parts(opened_->run, state.evenly(4), 1).value();
    const Loaded loaded = load(parts.path, "wte.weight", 0, 1, {});
    ASSERT_TRUE(loaded.status.ok());
    EXPECT_EQ(loaded.bytes_read, parts.manifest.files_bytes());
}

TEST_F(RangeLoad, P1_DamageInAChunkThatIsReadIsFoundAndElsewhereIsAnothersToFind) {
    const LayeredState state(0);
    const auto parts = save_parts(opened_->run, state.evenly(2), 1).value();
    const ReadOptions ranges{.thread_count = 1, .scope = ReadScope::kAskedChunks};
    // The last byte of the last tensor, of rank 1.
    const std::string model = parts.path + "/model.safetensors";
    flip_bit(model, slurp(model).size() - 1);
    EXPECT_TRUE(load(parts.path, "wte.weight", 0, 20, ranges).status.ok());
    const Loaded damaged = load(parts.path, "head.weight", 0, 45, ranges);
    ASSERT_FALSE(damaged.status.ok());
    EXPECT_EQ(damaged.status.error().kind, ErrorKind::kCorrupt);
    EXPECT_EQ(load(parts.path, "wte.weight", 0, 20, {}).status.error().kind, ErrorKind::kCorrupt);
}

}  // namespace
}  // namespace holdfast::checkpoint
