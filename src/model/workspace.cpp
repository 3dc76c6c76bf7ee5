#include "model/workspace.h"

#include <ATen/ops/zeros.h>

namespace holdfast::model {

Workspace::Workspace(const WorkspaceShape& shape) {
    const GptConfig& config = shape.config;
    const std::int64_t n = shape.rows_max();
    const std::int64_t c = config.n_embd;
    const auto options = at::TensorOptions().device(shape.device);
    // Zeroed, hence touched: no page is met for the first time in a step.
    const auto activation = [&](std::int64_t columns) {
        return at::zeros({n, columns}, options.dtype(shape.element_type));
    };
    const auto statistic = [&] { return at::zeros({n}, options.dtype(at::kFloat)); };

    for (std::int64_t i = 0; i <= config.n_layer; ++i) {
        residual.push_back(activation(c));
    }
    const bool share_gelu = config.recompute != Recompute::kNone;
    const bool share_norm = share_gelu && config.recompute != Recompute::kGelu;
    const std::int64_t block_count = config.recompute == Recompute::kBlock ? 1 : config.n_layer;
    for (std::int64_t i = 0; i < block_count; ++i) {
        BlockMemory memory;
        const bool first = blocks.empty();
        memory.ln_1_out = share_norm && !first ? blocks.front().ln_1_out : activation(c);
        memory.ln_2_out = share_norm && !first ? blocks.front().ln_2_out : activation(c);
        memory.gelu_out = share_gelu && !first ? blocks.front().gelu_out : activation(4 * c);
        memory.ln_1_mean = statistic();
        memory.ln_1_rstd = statistic();
        memory.ln_2_mean = statistic();
        memory.ln_2_rstd = statistic();
        memory.qkv = activation(3 * c);
        memory.middle = activation(c);
        memory.before_gelu = activation(4 * c);
        blocks.push_back(std::move(memory));
    }
    branch = activation(c);
    narrow_gradient = activation(c);
    wide_gradient = activation(4 * c);
    stream_gradient = activation(c);
    ln_f_out = activation(c);
    ln_f_mean = statistic();
    ln_f_rstd = statistic();
    logits = at::zeros({shape.head_rows(), config.padded_vocab_size()},
                       options.dtype(shape.element_type));
    tokens = at::zeros({n}, options.dtype(at::kInt));
    targets = at::zeros({n}, options.dtype(at::kInt));
}

WorkspaceBytes Workspace::bytes_needed(const WorkspaceShape& shape) {
    const GptConfig& config = shape.config;
    const std::int64_t n = shape.rows_max();
    const std::int64_t c = config.n_embd;
    const std::int64_t e = shape.element_type == at::kFloat ? 4 : 2;
    const std::int64_t block_count = config.recompute == Recompute::kBlock ? 1 : config.n_layer;
    const bool share_gelu = config.recompute != Recompute::kNone;
    const bool share_norm = share_gelu && config.recompute != Recompute::kGelu;
    WorkspaceBytes bytes;
    bytes.activations =
        (config.n_layer + 1) * n * c * e                            // residual stream
        + block_count * (n * (3 + 1 + 4) * c * e + 4 * n * 4)       // qkv, middle, before GELU
        + (share_gelu ? 1 : block_count) * n * 4 * c * e            // GELU
        + (share_norm ? 1 : block_count) * 2 * n * c * e            // norm outputs
        + n * (1 + 1 + 4 + 1 + 1) * c * e + 2 * n * 4 + 2 * n * 4;  // scratch, final norm, tokens
    bytes.attention = block_count * (n * c * e + n * config.n_head * 4) + 3 * n * c * e;
    bytes.head = shape.head_rows() * config.padded_vocab_size() * e;
    return bytes;
}

}  // namespace holdfast::model
