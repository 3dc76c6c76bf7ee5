#include "state/snapshot.h"

#include <algorithm>
#include <map>

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include "state/run_position.h"

namespace holdfast::state {
namespace {

model::ArenaLayout small_layout() {
    model::GptConfig config;
    config.n_layer = 1;
    config.n_head = 1;
    config.n_embd = 8;
    config.block_size = 4;
    config.vocab_size = 11;
    return {config, 2};
}

LiveTensors live_tensors(const model::ArenaLayout& layout, double factor) {
    const at::Tensor numbers = at::arange(layout.element_count(), at::kFloat);
    return {numbers.mul(factor),
            numbers.mul(factor + 1),
            numbers.mul(factor + 2),
            at::full({}, static_cast<std::int64_t>(factor * 100), at::kLong)};
}

TEST(Snapshot, RestoresWhatItCaptured) {
    const model::ArenaLayout layout = small_layout();
    Snapshot snapshot(layout, {{0, layout.element_count()}}, at::kCPU);
    const LiveTensors live = live_tensors(layout, 2.0);
    snapshot.capture(live);
    const LiveTensors other = live_tensors(layout, 7.0);
    snapshot.restore(other);
    EXPECT_TRUE(at::equal(other.master, live.master));
    EXPECT_TRUE(at::equal(other.first_moment, live.first_moment));
    EXPECT_TRUE(at::equal(other.second_moment, live.second_moment));
    EXPECT_EQ(other.update_count.item<std::int64_t>(), 200);
}

TEST(Snapshot, NamesEveryTensorOnceWithItsLogicalShape) {
    const model::ArenaLayout layout = small_layout();
    Snapshot snapshot(layout, {{0, layout.element_count()}}, at::kCPU);
    const std::vector<TensorBytes> model = snapshot.model_tensors();
    ASSERT_EQ(model.size(), layout.tensors().size());
    EXPECT_EQ(snapshot.optimizer_tensors().size(), 2 * model.size() + 1);
    for (const TensorBytes& tensor : model) {
        if (tensor.name == "transformer.wte.weight") {
            EXPECT_EQ(tensor.shape, (std::vector<std::int64_t>{11, 8})) << "without padding rows";
            EXPECT_EQ(tensor.bytes.size(), 11U * 8U * 4U);
        }
    }
}

TEST(Snapshot, WritingThroughTheViewsIsWhatIsRestored) {
    const model::ArenaLayout layout = small_layout();
    Snapshot snapshot(layout, {{0, layout.element_count()}}, at::kCPU);
    snapshot.capture(live_tensors(layout, 1.0));
    for (const TensorBytes& tensor : snapshot.model_tensors()) {
        std::fill(tensor.bytes.begin(), tensor.bytes.end(), std::byte{0});
    }
    const LiveTensors live = live_tensors(layout, 1.0);
    snapshot.restore(live);
    const model::ArenaTensor& wpe = layout.find("transformer.wpe.weight");
    EXPECT_EQ(live.master.narrow(0, wpe.begin, wpe.element_count()).abs().max().item<float>(),
              0.0F);
}

// Large enough that both ranks own parts of tensors, and not only padding.
model::ArenaLayout shared_layout() {
    model::GptConfig config;
    config.n_layer = 1;
    config.n_head = 1;
    config.n_embd = 32;
    config.block_size = 16;
    config.vocab_size = 70;
    return {config, 2};
}

// Two ranks: the pieces of each bucket, as their owners have them.
std::vector<optim::ElementRange> owned_by(const model::ArenaLayout& layout, std::int64_t rank) {
    std::vector<optim::ElementRange> owned;
    for (const model::ArenaBucket& bucket : layout.buckets()) {
        const std::int64_t piece = (bucket.end - bucket.begin) / 2;
        owned.push_back({bucket.begin + rank * piece, bucket.begin + (rank + 1) * piece});
    }
    return owned;
}

LiveTensors live_of_rank(const model::ArenaLayout& layout,
                         const std::vector<optim::ElementRange>& owned,
                         double factor) {
    const LiveTensors whole = live_tensors(layout, factor);
    std::vector<at::Tensor> first;
    std::vector<at::Tensor> second;
    for (const optim::ElementRange& range : owned) {
        first.push_back(whole.first_moment.narrow(0, range.begin, range.size()));
        second.push_back(whole.second_moment.narrow(0, range.begin, range.size()));
    }
    return {whole.master, at::cat(first), at::cat(second), whole.update_count};
}

TEST(Snapshot, FragmentsOfTheRanksAreTheBytesOfTheWholeOnce) {
    const model::ArenaLayout layout = shared_layout();
    Snapshot whole(layout, {{0, layout.element_count()}}, at::kCPU);
    whole.capture(live_tensors(layout, 3.0));
    std::map<std::string, std::map<std::int64_t, std::vector<std::byte>>> fragments;
    for (const std::int64_t rank : {0, 1}) {
        const auto owned = owned_by(layout, rank);
        Snapshot part(layout, owned, at::kCPU);
        part.capture(live_of_rank(layout, owned, 3.0));
        for (const auto& tensors : {part.owned_model_tensors(), part.optimizer_tensors()}) {
            for (const TensorBytes& tensor : tensors) {
                EXPECT_EQ(tensor.bytes.size(),
                          static_cast<std::size_t>(tensor.element_end - tensor.element_begin) *
                              (tensor.dtype == "F32" ? 4U : 8U));
                fragments[tensor.name][tensor.element_begin].assign(tensor.bytes.begin(),
                                                                    tensor.bytes.end());
            }
        }
    }
    EXPECT_GT(fragments["transformer.h.0.mlp.c_fc.weight"].size(), 1U) << "cut inside a tensor";
    for (const auto& tensors : {whole.model_tensors(), whole.optimizer_tensors()}) {
        for (const TensorBytes& tensor : tensors) {
            std::vector<std::byte> joined;
            for (const auto& [begin, bytes] : fragments[tensor.name]) {
                joined.insert(joined.end(), bytes.begin(), bytes.end());
            }
            EXPECT_EQ(joined, std::vector<std::byte>(tensor.bytes.begin(), tensor.bytes.end()))
                << tensor.name;
        }
    }
}

TEST(Snapshot, ARankRestoresAllWeightsAndItsOwnMoments) {
    const model::ArenaLayout layout = shared_layout();
    const auto owned = owned_by(layout, 1);
    Snapshot part(layout, owned, at::kCPU);
    part.capture(live_of_rank(layout, owned, 3.0));
    for (const TensorBytes& tensor : part.model_tensors()) {  // as a load does
        EXPECT_TRUE(tensor.is_whole());
        std::fill(tensor.bytes.begin(), tensor.bytes.end(), std::byte{0});
    }
    const LiveTensors live = live_of_rank(layout, owned, 9.0);
    part.restore(live);
    EXPECT_EQ(
        layout.view(live.master, layout.find("transformer.wpe.weight")).abs().sum().item<float>(),
        0.0F);
    EXPECT_TRUE(at::equal(live.first_moment, live_of_rank(layout, owned, 3.0).first_moment));
}

TEST(Snapshot, BytesAreOneArenaAndTheOwnedMoments) {
    const model::ArenaLayout layout = small_layout();
    const std::int64_t n = layout.element_count();
    EXPECT_EQ(Snapshot::bytes_needed(layout, n), 12 * n);
    EXPECT_EQ(Snapshot::bytes_needed(layout, n / 4), 4 * n + 2 * n);
}

TEST(RunPosition, EveryStreamHasAProbeOfItsOwn) {
    const auto probes = probe_streams(5);
    ASSERT_EQ(probes.size(), 4U);
    for (std::size_t i = 1; i < probes.size(); ++i) {
        EXPECT_NE(probes[i].value, probes[0].value);
    }
    EXPECT_NE(probe_streams(6)[0].value, probes[0].value);
}

}  // namespace
}  // namespace holdfast::state
