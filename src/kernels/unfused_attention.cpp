// Legend: B sequences, T tokens, C channels, H heads, D head size, Q queries of a block, K keys
// that the block sees (from 0 to the block's last query).
#include "kernels/unfused_attention.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <ATen/ops/baddbmm.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include "base/check.h"
#include "kernels/attention_mask.h"

namespace holdfast::kernels {
namespace {

struct Shape {
    std::int64_t sequences = 0;
    std::int64_t tokens = 0;
    std::int64_t channels = 0;
    std::int64_t heads = 0;
    std::int64_t head_size = 0;
    double scale = 0.0;  // of the scores
};

Shape shape_of(const at::Tensor& qkv_BTC3, std::int64_t head_count) {
    HF_CHECK(qkv_BTC3.dim() == 3 && qkv_BTC3.size(2) % (3 * head_count) == 0,
             "qkv has {} dimensions, last {}",
             qkv_BTC3.dim(),
             qkv_BTC3.size(-1));
    Shape shape;
    shape.sequences = qkv_BTC3.size(0);
    shape.tokens = qkv_BTC3.size(1);
    shape.channels = qkv_BTC3.size(2) / 3;
    shape.heads = head_count;
    shape.head_size = shape.channels / head_count;
    shape.scale = 1.0 / std::sqrt(static_cast<double>(shape.head_size));
    return shape;
}

// [T, n H D] of any dtype as fp32 [n, H, T, D], contiguous.
at::Tensor by_head(const at::Tensor& rows, const Shape& shape, std::int64_t parts) {
    return rows.view({shape.tokens, parts, shape.heads, shape.head_size})
        .permute({1, 2, 0, 3})
        .to(at::kFloat)
        .contiguous();
}

// Scaled scores of the queries from `first` on, minus infinity where a query must not look.
at::Tensor causal_scores(const at::Tensor& q_HQD,
                         const at::Tensor& k_HKD,
                         std::int64_t first,
                         double scale) {
    at::Tensor scores = at::bmm(q_HQD, k_HKD.transpose(1, 2)).mul_(scale);
    const at::Tensor later =
        at::ones({q_HQD.size(1), k_HKD.size(1)}, scores.options().dtype(at::kBool))
            .triu_(first + 1);
    return scores.masked_fill_(later, -std::numeric_limits<double>::infinity());
}

std::int64_t queries_per_block(const Shape& shape, at::Device device) {
    const std::int64_t most = unfused_score_elements_max(device) / (shape.heads * shape.tokens);
    return std::clamp<std::int64_t>(most, 1, shape.tokens);
}

at::Tensor factors_of(const DropoutSite& dropout,
                      std::int64_t sequence,
                      std::int64_t first_query,
                      const at::Tensor& scores_HQK) {
    AttentionTile tile;
    tile.sequence = sequence;
    tile.head_count = scores_HQK.size(0);
    tile.first_query = first_query;
    tile.query_count = scores_HQK.size(1);
    tile.key_count = scores_HQK.size(2);
    return attention_factors(dropout, tile, scores_HQK.device());
}

void forward_of_sequence(const at::Tensor& qkv_TC3,
                         std::int64_t sequence,
                         const Shape& shape,
                         const DropoutSite& dropout,
                         const at::Tensor& out_TC,
                         const at::Tensor& lse_HT) {
    const at::Tensor parts = by_head(qkv_TC3, shape, 3);
    const at::Tensor out_HTD =
        out_TC.view({shape.tokens, shape.heads, shape.head_size}).transpose(0, 1);
    const std::int64_t step = queries_per_block(shape, qkv_TC3.device());
    for (std::int64_t first = 0; first < shape.tokens; first += step) {
        const std::int64_t count = std::min(step, shape.tokens - first);
        const std::int64_t keys = first + count;
        at::Tensor weights = causal_scores(parts.select(0, 0).narrow(1, first, count),
                                           parts.select(0, 1).narrow(1, 0, keys),
                                           first,
                                           shape.scale);
        const at::Tensor lse = at::logsumexp(weights, {2}, true);
        lse_HT.narrow(1, first, count).copy_(lse.squeeze(2));
        weights.sub_(lse).exp_();
        if (dropout.probability > 0.0) {
            weights.mul_(factors_of(dropout, sequence, first, weights));
        }
        out_HTD.narrow(1, first, count)
            .copy_(at::bmm(weights, parts.select(0, 2).narrow(1, 0, keys)));
    }
}

void backward_of_sequence(const at::Tensor& dout_TC,
                          const at::Tensor& qkv_TC3,
                          std::int64_t sequence,
                          const Shape& shape,
                          const DropoutSite& dropout,
                          const at::Tensor& lse_HT,
                          const at::Tensor& dqkv_TC3) {
    const at::Tensor parts = by_head(qkv_TC3, shape, 3);
    const at::Tensor dout = by_head(dout_TC, shape, 1).select(0, 0);
    const at::Tensor gradients = at::zeros(parts.sizes(), parts.options());
    const std::int64_t step = queries_per_block(shape, qkv_TC3.device());
    for (std::int64_t first = 0; first < shape.tokens; first += step) {
        const std::int64_t count = std::min(step, shape.tokens - first);
        const std::int64_t keys = first + count;
        const at::Tensor q = parts.select(0, 0).narrow(1, first, count);
        const at::Tensor k = parts.select(0, 1).narrow(1, 0, keys);
        const at::Tensor v = parts.select(0, 2).narrow(1, 0, keys);
        const at::Tensor dout_block = dout.narrow(1, first, count);
        at::Tensor dq = gradients.select(0, 0).narrow(1, first, count);
        at::Tensor dk = gradients.select(0, 1).narrow(1, 0, keys);
        at::Tensor dv = gradients.select(0, 2).narrow(1, 0, keys);

        const at::Tensor weights = causal_scores(q, k, first, shape.scale)
                                       .sub_(lse_HT.narrow(1, first, count).unsqueeze(2))
                                       .exp_();
        at::Tensor dweights = at::bmm(dout_block, v.transpose(1, 2));
        if (dropout.probability > 0.0) {
            const at::Tensor factors = factors_of(dropout, sequence, first, weights);
            dweights.mul_(factors);
            dv.baddbmm_(factors.mul(weights).transpose(1, 2), dout_block);
        } else {
            dv.baddbmm_(weights.transpose(1, 2), dout_block);
        }
        const at::Tensor row_sum = dweights.mul(weights).sum({2}, true);
        dweights.sub_(row_sum).mul_(weights).mul_(shape.scale);
        dq.copy_(at::bmm(dweights, k));
        dk.baddbmm_(dweights.transpose(1, 2), q);
    }
    dqkv_TC3.view({shape.tokens, 3, shape.heads, shape.head_size})
        .permute({1, 2, 0, 3})
        .copy_(gradients);
}

}  // namespace

std::int64_t unfused_score_elements_max(at::Device device) {
    return device.is_cpu() ? std::int64_t{1} << 22 : std::int64_t{1} << 26;
}

void unfused_attention_forward(const at::Tensor& qkv_BTC3,
                               std::int64_t head_count,
                               const DropoutSite& dropout,
                               AttentionMemory& memory) {
    const Shape shape = shape_of(qkv_BTC3, head_count);
    if (!memory.out.defined()) {
        memory.out = at::empty({shape.sequences, shape.tokens, shape.channels}, qkv_BTC3.options());
    }
    if (!memory.lse.defined()) {
        memory.lse = at::empty({shape.sequences, shape.heads, shape.tokens},
                               qkv_BTC3.options().dtype(at::kFloat));
    }
    for (std::int64_t b = 0; b < shape.sequences; ++b) {
        forward_of_sequence(qkv_BTC3.select(0, b),
                            b,
                            shape,
                            dropout,
                            memory.out.select(0, b),
                            memory.lse.select(0, b));
    }
}

void unfused_attention_backward(const at::Tensor& dout_BTC,
                                const at::Tensor& qkv_BTC3,
                                std::int64_t head_count,
                                const DropoutSite& dropout,
                                const AttentionMemory& memory,
                                at::Tensor& dqkv_BTC3) {
    const Shape shape = shape_of(qkv_BTC3, head_count);
    for (std::int64_t b = 0; b < shape.sequences; ++b) {
        backward_of_sequence(dout_BTC.select(0, b),
                             qkv_BTC3.select(0, b),
                             b,
                             shape,
                             dropout,
                             memory.lse.select(0, b),
                             dqkv_BTC3.select(0, b));
    }
}

}  // namespace holdfast::kernels
