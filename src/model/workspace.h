// The planned memory of the forward and backward pass: every activation has its place before the
// first step.
//
// Legend: N = S x T rows of the largest micro-batch, C channels, L layers, R rows of a head chunk,
// V padded vocabulary. Elements are of the activation type (fp32 or bf16), statistics fp32. Bytes,
// with e bytes an element:
//
//   residual stream            (L + 1) N C e
//   kept by each of K blocks   N (3 C + C) e [qkv, middle] + 4 N * 4 [statistics] + attention's own
//   (out N C e, lse)
//                              + N 4C e [before GELU]
//                              + N 4C e [GELU]              unless recompute is kGelu or more: then
//                              once for all
//                              + 2 N C e [norm outputs]     unless recompute is kNorm or more: then
//                              once for all
//   K = L, or 1 when recompute is kBlock
//   once                       N (2 C + 4 C + C) e [branch, gradient of the wide layer, gradient of
//   the stream]
//                              + N C e [final norm] + 2 N * 4
//   head                       R V e [logits, which become their gradient]
//
// attention's own memory comes from ATen (kernels/caching_cpu_allocator keeps it): N C e + N H * 4
// a block, and once 3 N C e for the gradients of q, k and v.
#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

#include "kernels/kernels.h"
#include "model/gpt_config.h"

namespace holdfast::model {

// What a block keeps from forward to backward; blocks may share members (see the formula). [N,
// ...], flat over sequences.
struct BlockMemory {
    at::Tensor ln_1_out, ln_1_mean, ln_1_rstd;
    at::Tensor qkv;     // [N, 3C]
    at::Tensor middle;  // the residual stream between attention and MLP
    at::Tensor ln_2_out, ln_2_mean, ln_2_rstd;
    at::Tensor before_gelu, gelu_out;  // [N, 4C]
    kernels::AttentionMemory attention;
};

struct WorkspaceShape {
    GptConfig config;
    at::ScalarType element_type = at::kFloat;
    at::Device device = at::kCPU;
    std::int64_t sequences_max = 1;

    [[nodiscard]] std::int64_t rows_max() const { return sequences_max * config.block_size; }
    // Rows of a head chunk: enough that the weight gradient is one large product, not so many that
    // logits of a batch exist (a product over at least 1,024 rows costs the same a row as one over
    // all).
    [[nodiscard]] std::int64_t head_rows() const { return rows_max() < 1024 ? rows_max() : 1024; }
};

struct WorkspaceBytes {
    std::int64_t activations = 0;
    std::int64_t attention = 0;  // held by ATen
    std::int64_t head = 0;
};

struct Workspace {
    explicit Workspace(const WorkspaceShape& shape);

    std::vector<at::Tensor>
        residual;  // L + 1 of [N, C]: the input of each block, and of the final norm
    std::vector<BlockMemory> blocks;  // L, or 1 for kBlock
    at::Tensor branch;                // [N, C]: output of a projection; in backward its gradient
    at::Tensor narrow_gradient;       // [N, C]: gradient of a norm's or attention's output
    at::Tensor wide_gradient;         // [N, 4C]: gradient of qkv or of the MLP's middle
    at::Tensor stream_gradient;       // [N, C]: gradient of the residual stream
    at::Tensor ln_f_out, ln_f_mean, ln_f_rstd;
    at::Tensor logits;           // [R, V]
    at::Tensor tokens, targets;  // int32 [N] on the device

    [[nodiscard]] BlockMemory& block(std::int64_t layer) {
        return blocks.size() == 1 ? blocks.front() : blocks.at(static_cast<std::size_t>(layer));
    }

    // The formula above, without allocating.
    static WorkspaceBytes bytes_needed(const WorkspaceShape& shape);
};

// The first `rows` rows.
inline at::Tensor rows_of(const at::Tensor& tensor, std::int64_t rows) {
    return tensor.narrow(0, 0, rows);
}

}  // namespace holdfast::model
