// A small model with weights that are nowhere special, tokens, and comparisons.
#pragma once

#include <cstdint>
#include <memory>

#include <ATen/ATen.h>

#include "kernels/kernels.h"
#include "model/gpt.h"

namespace holdfast::model {

inline GptConfig small_config() {
    GptConfig config;
    config.n_layer = 2;
    config.n_head = 3;
    config.n_embd = 48;
    config.block_size = 24;
    config.vocab_size = 101;
    return config;
}

// Tokens (and targets) that are a fixed function of the seed; tensors of this test, not of the
// model.
inline at::Tensor some_tokens(std::int64_t sequences,
                              std::int64_t time,
                              std::int64_t vocab,
                              std::int64_t seed) {
    at::Tensor tokens = at::empty({sequences, time}, at::kInt);
    auto* data = tokens.mutable_data_ptr<std::int32_t>();
    for (std::int64_t i = 0; i < tokens.numel(); ++i) {
        data[i] = static_cast<std::int32_t>((i * 7919 + seed * 104729 + i * i * 31) % vocab);
    }
    return tokens;
}

struct SmallModel {
    explicit SmallModel(const GptConfig& config,
                        Precision precision = Precision::kFp32,
                        std::int64_t sequences_max = 4)
        : kernels(kernels::make_kernels(at::kCPU)),
          layout(config, 1),
          gpt({config, precision, sequences_max}, layout, *kernels),
          gradient(at::zeros({layout.element_count()}, at::kFloat)),
          loss(at::zeros({}, at::kDouble)) {
        gpt.initialise(11);
        // Away from zeros and ones, so that every gradient matters.
        const c10::InferenceMode guard;
        for (const ArenaTensor& tensor : layout.tensors()) {
            at::Tensor values = gpt.master().narrow(0, tensor.begin, tensor.element_count());
            const at::Tensor index = at::arange(tensor.element_count(), at::kDouble);
            values.add_(at::sin(index * 0.37 + static_cast<double>(tensor.begin))
                            .mul_(0.05)
                            .to(at::kFloat));
        }
        gpt.refresh_compute_copy();
    }
    void run(const at::Tensor& tokens, const at::Tensor& targets, double denominator = 1.0) {
        gradient.zero_();
        loss.zero_();
        gpt.forward_backward(tokens, targets, key, denominator, gradient, loss);
    }

    std::unique_ptr<kernels::Kernels> kernels;
    ArenaLayout layout;
    Gpt gpt;
    at::Tensor gradient;
    at::Tensor loss;
    DropoutKey key{.seed = 5, .step = 3, .first_sequence_index = 8};
};

// |a - b| / |b| in the 2-norm.
inline double relative_distance(const at::Tensor& a, const at::Tensor& b) {
    const double scale = b.to(at::kDouble).norm().item<double>();
    return (a.to(at::kDouble) - b.to(at::kDouble)).norm().item<double>() /
           (scale > 0.0 ? scale : 1.0);
}

inline bool same_bits(const at::Tensor& a, const at::Tensor& b) {
    return at::equal(a, b);
}

}  // namespace holdfast::model
