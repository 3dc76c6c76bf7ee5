#include "model/block.h"

namespace holdfast::model {

kernels::DropoutSite PassContext::dropout(std::int64_t layer, DropoutPlace place) const {
    double probability = 0.0;
    if (training) {
        probability =
            place == DropoutPlace::kAttentionWeights ? config.attention_dropout : config.dropout;
    }
    return {.seed = seed,
            .step = step,
            .first_sequence_index = first_sequence_index,
            .sequence_tokens = time,
            .layer = static_cast<std::int32_t>(layer),
            .site = static_cast<std::int32_t>(place),
            .probability = probability};
}

namespace {

at::Tensor by_sequence(const PassContext& pass, const at::Tensor& rows) {
    return rows.view({pass.sequences, pass.time, rows.size(1)});
}

void norm_1_forward(const PassContext& pass, const BlockTensors& weights, std::int64_t layer) {
    BlockMemory& memory = pass.workspace.block(layer);
    const std::int64_t n = pass.rows();
    at::Tensor out = rows_of(memory.ln_1_out, n);
    at::Tensor mean = rows_of(memory.ln_1_mean, n);
    at::Tensor rstd = rows_of(memory.ln_1_rstd, n);
    pass.kernels.layer_norm_forward(
        rows_of(pass.workspace.residual.at(static_cast<std::size_t>(layer)), n),
        weights.ln_1_weight,
        weights.ln_1_bias,
        out,
        mean,
        rstd);
}

void norm_2_forward(const PassContext& pass, const BlockTensors& weights, std::int64_t layer) {
    BlockMemory& memory = pass.workspace.block(layer);
    const std::int64_t n = pass.rows();
    at::Tensor out = rows_of(memory.ln_2_out, n);
    at::Tensor mean = rows_of(memory.ln_2_mean, n);
    at::Tensor rstd = rows_of(memory.ln_2_rstd, n);
    pass.kernels.layer_norm_forward(
        rows_of(memory.middle, n), weights.ln_2_weight, weights.ln_2_bias, out, mean, rstd);
}

void gelu_forward(const PassContext& pass, std::int64_t layer) {
    BlockMemory& memory = pass.workspace.block(layer);
    at::Tensor out = rows_of(memory.gelu_out, pass.rows());
    pass.kernels.gelu_forward(rows_of(memory.before_gelu, pass.rows()), out);
}

// Everything up to before_gelu; the last projection only matters for the next block.
void forward_to_mlp(const PassContext& pass, const BlockTensors& weights, std::int64_t layer) {
    Workspace& workspace = pass.workspace;
    BlockMemory& memory = workspace.block(layer);
    const std::int64_t n = pass.rows();
    norm_1_forward(pass, weights, layer);
    at::Tensor qkv = rows_of(memory.qkv, n);
    pass.kernels.linear_forward(
        rows_of(memory.ln_1_out, n), weights.attn_weight, weights.attn_bias, qkv);
    pass.kernels.attention_forward(by_sequence(pass, qkv),
                                   pass.config.n_head,
                                   pass.dropout(layer, DropoutPlace::kAttentionWeights),
                                   memory.attention);
    at::Tensor branch = rows_of(workspace.branch, n);
    pass.kernels.linear_forward(memory.attention.out.view({n, pass.config.n_embd}),
                                weights.attn_proj_weight,
                                weights.attn_proj_bias,
                                branch);
    at::Tensor middle = rows_of(memory.middle, n);
    pass.kernels.dropout_add(rows_of(workspace.residual.at(static_cast<std::size_t>(layer)), n),
                             branch,
                             pass.dropout(layer, DropoutPlace::kAttention),
                             middle);
    norm_2_forward(pass, weights, layer);
    at::Tensor before_gelu = rows_of(memory.before_gelu, n);
    pass.kernels.linear_forward(
        rows_of(memory.ln_2_out, n), weights.fc_weight, weights.fc_bias, before_gelu);
    gelu_forward(pass, layer);
}

void mlp_backward(const PassContext& pass,
                  const BlockTensors& weights,
                  BlockTensors& gradients,
                  std::int64_t layer) {
    Workspace& workspace = pass.workspace;
    BlockMemory& memory = workspace.block(layer);
    const std::int64_t n = pass.rows();
    at::Tensor stream = rows_of(workspace.stream_gradient, n);
    at::Tensor branch = rows_of(workspace.branch, n);
    at::Tensor wide = rows_of(workspace.wide_gradient, n);
    at::Tensor narrow = rows_of(workspace.narrow_gradient, n);
    pass.kernels.dropout_backward(stream, pass.dropout(layer, DropoutPlace::kMlp), branch);
    pass.kernels.linear_backward_weight(
        branch, rows_of(memory.gelu_out, n), gradients.mlp_proj_weight, gradients.mlp_proj_bias);
    pass.kernels.linear_backward_input(branch, weights.mlp_proj_weight, wide);
    pass.kernels.gelu_backward(rows_of(memory.before_gelu, n), wide);
    pass.kernels.linear_backward_weight(
        wide, rows_of(memory.ln_2_out, n), gradients.fc_weight, gradients.fc_bias);
    pass.kernels.linear_backward_input(wide, weights.fc_weight, narrow);
    pass.kernels.layer_norm_backward(narrow,
                                     rows_of(memory.middle, n),
                                     weights.ln_2_weight,
                                     rows_of(memory.ln_2_mean, n),
                                     rows_of(memory.ln_2_rstd, n),
                                     stream,
                                     gradients.ln_2_weight,
                                     gradients.ln_2_bias);
}

void attention_backward(const PassContext& pass,
                        const BlockTensors& weights,
                        BlockTensors& gradients,
                        std::int64_t layer) {
    Workspace& workspace = pass.workspace;
    BlockMemory& memory = workspace.block(layer);
    const std::int64_t n = pass.rows();
    const std::int64_t c = pass.config.n_embd;
    at::Tensor stream = rows_of(workspace.stream_gradient, n);
    at::Tensor branch = rows_of(workspace.branch, n);
    at::Tensor narrow = rows_of(workspace.narrow_gradient, n);
    // The wide scratch holds [N, 4C]; qkv needs 3C of each row, contiguous.
    at::Tensor dqkv = workspace.wide_gradient.view({-1}).narrow(0, 0, n * 3 * c).view({n, 3 * c});
    pass.kernels.dropout_backward(stream, pass.dropout(layer, DropoutPlace::kAttention), branch);
    pass.kernels.linear_backward_weight(branch,
                                        memory.attention.out.view({n, c}),
                                        gradients.attn_proj_weight,
                                        gradients.attn_proj_bias);
    pass.kernels.linear_backward_input(branch, weights.attn_proj_weight, narrow);
    at::Tensor dqkv_by_sequence = by_sequence(pass, dqkv);
    pass.kernels.attention_backward(by_sequence(pass, narrow),
                                    by_sequence(pass, rows_of(memory.qkv, n)),
                                    pass.config.n_head,
                                    pass.dropout(layer, DropoutPlace::kAttentionWeights),
                                    memory.attention,
                                    dqkv_by_sequence);
    pass.kernels.linear_backward_weight(
        dqkv, rows_of(memory.ln_1_out, n), gradients.attn_weight, gradients.attn_bias);
    pass.kernels.linear_backward_input(dqkv, weights.attn_weight, narrow);
    pass.kernels.layer_norm_backward(
        narrow,
        rows_of(workspace.residual.at(static_cast<std::size_t>(layer)), n),
        weights.ln_1_weight,
        rows_of(memory.ln_1_mean, n),
        rows_of(memory.ln_1_rstd, n),
        stream,
        gradients.ln_1_weight,
        gradients.ln_1_bias);
}

}  // namespace

void block_forward(const PassContext& pass, const BlockTensors& weights, std::int64_t layer) {
    Workspace& workspace = pass.workspace;
    BlockMemory& memory = workspace.block(layer);
    const std::int64_t n = pass.rows();
    forward_to_mlp(pass, weights, layer);
    at::Tensor branch = rows_of(workspace.branch, n);
    pass.kernels.linear_forward(
        rows_of(memory.gelu_out, n), weights.mlp_proj_weight, weights.mlp_proj_bias, branch);
    at::Tensor out = rows_of(workspace.residual.at(static_cast<std::size_t>(layer) + 1), n);
    pass.kernels.dropout_add(
        rows_of(memory.middle, n), branch, pass.dropout(layer, DropoutPlace::kMlp), out);
}

void block_backward(const PassContext& pass,
                    const BlockTensors& weights,
                    BlockTensors& gradients,
                    std::int64_t layer) {
    switch (pass.config.recompute) {
        case Recompute::kNone:
            break;
        case Recompute::kBlock:
            forward_to_mlp(pass, weights, layer);
            break;
        case Recompute::kNorm:
            norm_2_forward(pass, weights, layer);
            gelu_forward(pass, layer);
            break;
        case Recompute::kGelu:
            gelu_forward(pass, layer);
            break;
    }
    mlp_backward(pass, weights, gradients, layer);
    if (pass.config.recompute == Recompute::kNorm) {
        norm_1_forward(pass, weights, layer);
    }
    attention_backward(pass, weights, gradients, layer);
}

}  // namespace holdfast::model
