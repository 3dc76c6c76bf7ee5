// The shape of a GPT-2 style model and the precision it computes in. Plain values; no torch.
#pragma once

#include <cstdint>

#include "base/result.h"

namespace holdfast::model {

// What the matrix products and activations are computed in. Master weights, gradients and moments
// are always fp32.
enum class Precision {
    kBf16,  // activations and compute copy of the weights in bfloat16
    kFp32,
    kFp8,  // products of the blocks in e4m3 / e5m2; embeddings, head and attention stay bf16
};

// What the backward pass computes again instead of keeping from the forward pass. Never changes a
// bit.
enum class Recompute {
    kNone,
    kGelu,   // the GELU output
    kNorm,   // and both layer-norm outputs
    kBlock,  // everything but the input of each block
};

struct GptConfig {
    std::int64_t n_layer = 4;
    std::int64_t n_head = 4;
    std::int64_t n_embd = 128;
    std::int64_t block_size = 128;  // tokens of context
    std::int64_t vocab_size = 0;    // 0: follows the data; set before a model is made
    double dropout = 0.0;           // embeddings and residual branches, probability in [0, 1)
    double attention_dropout = 0.0;
    bool bias = true;  // in the linear layers and layer norms
    Recompute recompute = Recompute::kNone;

    // vocab_size rounded up to 64 rows of the embedding: the added rows stay zero and are never
    // predicted.
    [[nodiscard]] std::int64_t padded_vocab_size() const { return (vocab_size + 63) / 64 * 64; }
    [[nodiscard]] std::int64_t head_size() const { return n_embd / n_head; }
    // Trainable numbers, tied head counted once, padding not counted.
    [[nodiscard]] std::int64_t parameter_count() const;

    // kInvalid with the key, the value, and what would do, when the shape cannot be built.
    [[nodiscard]] base::Status validate() const;
};

}  // namespace holdfast::model
