// The end of the model: final norm, tied head, cross-entropy, in chunks of rows so that the logits
// of a batch never exist at once.
#pragma once

#include <functional>

#include "model/block.h"

namespace holdfast::model {

// workspace.ln_f_out from the last residual.
void final_norm_forward(const PassContext& pass, const GptTensors& weights);

// loss_sum (fp64 scalar on the device) += the nats of all rows. targets_N on the device.
void head_loss(const PassContext& pass,
               const GptTensors& weights,
               const at::Tensor& targets_N,
               at::Tensor& loss_sum);

// The same, and the gradients of (sum of nats) * gradient_scale: workspace.stream_gradient becomes
// that of the last residual, `gradients` of wte and the final norm are added to.
void head_loss_and_backward(const PassContext& pass,
                            const GptTensors& weights,
                            GptTensors& gradients,
                            const at::Tensor& targets_N,
                            double gradient_scale,
                            at::Tensor& loss_sum);

// Calls `take` with (first row, logits [rows, padded V]) chunk by chunk; the logits are valid
// during the call.
void head_logits(const PassContext& pass,
                 const GptTensors& weights,
                 const std::function<void(std::int64_t, at::Tensor&)>& take);

}  // namespace holdfast::model
