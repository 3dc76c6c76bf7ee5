#include "model/head.h"

#include <algorithm>

namespace holdfast::model {

void final_norm_forward(const PassContext& pass, const GptTensors& weights) {
    Workspace& workspace = pass.workspace;
    const std::int64_t n = pass.rows();
    at::Tensor out = rows_of(workspace.ln_f_out, n);
    at::Tensor mean = rows_of(workspace.ln_f_mean, n);
    at::Tensor rstd = rows_of(workspace.ln_f_rstd, n);
    pass.kernels.layer_norm_forward(rows_of(workspace.residual.back(), n),
                                    weights.ln_f_weight,
                                    weights.ln_f_bias,
                                    out,
                                    mean,
                                    rstd);
}

void head_logits(const PassContext& pass,
                 const GptTensors& weights,
                 const std::function<void(std::int64_t, at::Tensor&)>& take) {
    Workspace& workspace = pass.workspace;
    const std::int64_t chunk_rows = workspace.logits.size(0);
    for (std::int64_t begin = 0; begin < pass.rows(); begin += chunk_rows) {
        const std::int64_t rows = std::min(chunk_rows, pass.rows() - begin);
        at::Tensor logits = rows_of(workspace.logits, rows);
        pass.kernels.linear_forward(
            workspace.ln_f_out.narrow(0, begin, rows), weights.wte, at::Tensor(), logits);
        take(begin, logits);
    }
}

void head_loss(const PassContext& pass,
               const GptTensors& weights,
               const at::Tensor& targets_N,
               at::Tensor& loss_sum) {
    head_logits(pass, weights, [&](std::int64_t begin, at::Tensor& logits) {
        pass.kernels.cross_entropy_loss(
            logits, targets_N.narrow(0, begin, logits.size(0)), pass.config.vocab_size, loss_sum);
    });
}

void head_loss_and_backward(const PassContext& pass,
                            const GptTensors& weights,
                            GptTensors& gradients,
                            const at::Tensor& targets_N,
                            double gradient_scale,
                            at::Tensor& loss_sum) {
    Workspace& workspace = pass.workspace;
    at::Tensor no_bias;
    head_logits(pass, weights, [&](std::int64_t begin, at::Tensor& logits) {
        const std::int64_t rows = logits.size(0);
        pass.kernels.cross_entropy_in_place(logits,
                                            targets_N.narrow(0, begin, rows),
                                            pass.config.vocab_size,
                                            gradient_scale,
                                            loss_sum);
        at::Tensor dnorm = workspace.narrow_gradient.narrow(0, begin, rows);
        pass.kernels.linear_backward_input(logits, weights.wte, dnorm);
        pass.kernels.linear_backward_weight(
            logits, workspace.ln_f_out.narrow(0, begin, rows), gradients.wte, no_bias);
    });
    const std::int64_t n = pass.rows();
    at::Tensor stream = rows_of(workspace.stream_gradient, n);
    stream.zero_();
    pass.kernels.layer_norm_backward(rows_of(workspace.narrow_gradient, n),
                                     rows_of(workspace.residual.back(), n),
                                     weights.ln_f_weight,
                                     rows_of(workspace.ln_f_mean, n),
                                     rows_of(workspace.ln_f_rstd, n),
                                     stream,
                                     gradients.ln_f_weight,
                                     gradients.ln_f_bias);
}

}  // namespace holdfast::model
