#include "state/snapshot.h"

#include <ATen/ops/arange.h>
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
    Snapshot snapshot(layout, at::kCPU);
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
    Snapshot snapshot(layout, at::kCPU);
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
    Snapshot snapshot(layout, at::kCPU);
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
