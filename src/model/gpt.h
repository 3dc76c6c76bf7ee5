// GPT-2: forward and backward written by hand over the kernels table.
//
// Radford et al., "Language models are unsupervised multitask learners" (2019): learned positions,
// norm before each branch, GELU (tanh), head tied to the token embedding. No tape and no new memory
// once made: every activation has its place in a workspace planned for `micro_batch_max` sequences.
// All calls run under c10::InferenceMode.
//
// Owns the master arena (fp32), in bf16 precision the compute copy, and the workspace. One thread
// at a time. On a GPU calls only enqueue work, except evaluate() and logits(), which wait.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>

#include "kernels/kernels.h"
#include "model/arena.h"
#include "model/block.h"
#include "model/gpt_config.h"
#include "model/gpt_tensors.h"
#include "model/workspace.h"

namespace holdfast::model {

// What dropout masks of one call are a function of, besides layer and site.
struct DropoutKey {
    std::uint64_t seed = 0;
    std::int64_t step = 0;
    std::int64_t first_sequence_index = 0;  // of row 0, in the global batch
};

// Told the index of a bucket of the arena.
using BucketHook = std::function<void(std::int64_t)>;

struct GptOptions {
    GptConfig config;
    Precision precision = Precision::kFp32;
    std::int64_t micro_batch_max = 1;  // sequences
};

// Host or device memory of one Gpt by parts; the formula stands in workspace.h, and a test holds
// it.
struct GptBytes {
    std::int64_t master = 0;
    std::int64_t compute_copy = 0;
    std::int64_t activations = 0;
    std::int64_t head = 0;       // logits chunk and its companions
    std::int64_t attention = 0;  // what libtorch's attention keeps
    std::int64_t products = 0;   // bf16 on a CPU: weight gradients before they are added, scratch
    [[nodiscard]] std::int64_t total() const {
        return master + compute_copy + activations + head + attention + products;
    }
};

class Gpt {
public:
    // `kernels` must outlive it. Weights are zero until initialise() or master() is filled and
    // refresh_compute_copy() called. fp8 is refused before this (config).
    Gpt(const GptOptions& options, const ArenaLayout& layout, kernels::Kernels& kernels);
    ~Gpt() = default;
    Gpt(const Gpt&) = delete;
    Gpt& operator=(const Gpt&) = delete;
    Gpt(Gpt&&) = delete;
    Gpt& operator=(Gpt&&) = delete;

    [[nodiscard]] const GptConfig& config() const { return options_.config; }
    [[nodiscard]] const ArenaLayout& layout() const { return layout_; }
    [[nodiscard]] Precision precision() const { return options_.precision; }
    [[nodiscard]] at::Device device() const { return kernels_.device(); }

    // fp32 [layout().element_count()], on the device. Write it, then refresh_compute_copy().
    [[nodiscard]] at::Tensor& master() { return master_; }
    // bf16 of the same length; undefined in fp32 precision.
    [[nodiscard]] at::Tensor& compute_copy() { return compute_copy_; }
    void refresh_compute_copy();
    // Told each bucket before a pass first reads its weights, the last one first: who is still
    // bringing them waits there. Empty: nobody.
    void set_before_bucket(BucketHook before_bucket) { before_bucket_ = std::move(before_bucket); }

    // GPT-2's initialisation from the stream kInitialisation of `seed`: normal(0, 0.02), the two
    // projections onto the residual stream normal(0, 0.02 / sqrt(2 n_layer)), biases 0, norms 1.
    // The same values on any device and layout.
    void initialise(std::uint64_t seed);

    // Adds the gradient of (sum of nats) / `gradient_denominator` to `gradient` (fp32 arena) and
    // the sum of nats to `loss_sum` (fp64 scalar on the device). tokens, targets: int32 [S, T], S
    // <= micro_batch_max, T <= block_size, on the host or the device; target -1 counts nothing.
    // Dropout is on if the config says so. `bucket_is_done` (may be empty) is told each bucket, in
    // arena order, when this call will not write to its gradients any more.
    void forward_backward(const at::Tensor& tokens_ST,
                          const at::Tensor& targets_ST,
                          const DropoutKey& dropout_key,
                          double gradient_denominator,
                          at::Tensor& gradient,
                          at::Tensor& loss_sum,
                          const BucketHook& bucket_is_done = {});

    // The sum of nats over all targets, without dropout.
    double evaluate(const at::Tensor& tokens_ST, const at::Tensor& targets_ST);

    // Logits fp32 [S, T, vocab_size] on the host, without dropout: for tests and tools.
    at::Tensor logits(const at::Tensor& tokens_ST);

    // What generation.h computes with; the views stay valid as long as this object.
    [[nodiscard]] const GptTensors& weights() const { return weights_; }
    [[nodiscard]] kernels::Kernels& kernels() const { return kernels_; }

    static GptBytes bytes_needed(const GptOptions& options, const ArenaLayout& layout);

private:
    // Checks the shape and puts tokens (and targets, when defined) onto the device.
    PassContext begin_pass(const at::Tensor& tokens_ST, const at::Tensor& targets_ST);
    void forward(const PassContext& pass);
    GptTensors& gradient_views(const at::Tensor& gradient);
    [[nodiscard]] std::int64_t bucket_of_layer(std::int64_t layer) const;
    void before_bucket(std::int64_t bucket) const;

    GptOptions options_;
    ArenaLayout layout_;
    kernels::Kernels& kernels_;
    at::Tensor master_;
    at::Tensor compute_copy_;
    GptTensors weights_;  // views of the compute copy, or of the master in fp32
    Workspace workspace_;
    at::Tensor evaluation_sum_;
    BucketHook before_bucket_;
    // Views of the gradient arenas met so far: a run has a handful (train/lane_tree).
    std::vector<std::pair<const void*, GptTensors>> gradient_views_;
};

}  // namespace holdfast::model
