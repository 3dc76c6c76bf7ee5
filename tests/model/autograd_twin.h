// The same model in plain autograd: the oracle of the hand-written backward pass.
//
// Written from the definition alone (no code shared with src/model but the layout's names), in any
// dtype, so that in fp64 it can itself be checked by finite differences.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <ATen/ATen.h>

#include "kernels/kernels.h"
#include "model/arena.h"
#include "model/block.h"
#include "model/gpt_config.h"

namespace holdfast::model {

using TwinParameters = std::map<std::string, at::Tensor>;

// Scaled keep masks (0 or 1 / (1 - p)), [S, T, C] each; undefined: no dropout.
struct TwinMasks {
    at::Tensor embedding;
    std::vector<at::Tensor> attention;
    std::vector<at::Tensor> mlp;
};

// Leaves that want gradients, copied from `arena` in `dtype`: logical shapes.
inline TwinParameters twin_parameters(const at::Tensor& arena,
                                      const ArenaLayout& layout,
                                      at::ScalarType dtype) {
    TwinParameters parameters;
    for (const ArenaTensor& tensor : layout.tensors()) {
        const at::Tensor values = arena.narrow(0, tensor.begin, tensor.element_count())
                                      .view(tensor.shape)
                                      .to(dtype, false, true);
        parameters[tensor.name] =
            at::empty(tensor.shape, at::TensorOptions().dtype(dtype)).copy_(values);
        parameters[tensor.name].set_requires_grad(true);
    }
    return parameters;
}

inline at::Tensor twin_linear(const TwinParameters& parameters,
                              const std::string& name,
                              const at::Tensor& x) {
    at::Tensor out = at::matmul(x, parameters.at(name + ".weight").t());
    const auto bias = parameters.find(name + ".bias");
    return bias == parameters.end() ? out : out + bias->second;
}

inline at::Tensor twin_norm(const TwinParameters& parameters,
                            const std::string& name,
                            const at::Tensor& x) {
    const at::Tensor centred = x - x.mean(-1, true);
    const at::Tensor normed = centred * (centred.square().mean(-1, true) + 1e-5).rsqrt();
    at::Tensor out = normed * parameters.at(name + ".weight");
    const auto bias = parameters.find(name + ".bias");
    return bias == parameters.end() ? out : out + bias->second;
}

inline at::Tensor twin_gelu(const at::Tensor& x) {
    return 0.5 * x * (1.0 + at::tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)));
}

inline at::Tensor twin_attention(const at::Tensor& qkv, std::int64_t heads) {
    const std::int64_t s = qkv.size(0);
    const std::int64_t t = qkv.size(1);
    const std::int64_t c = qkv.size(2) / 3;
    const auto split = [&](std::int64_t part) {
        return qkv.narrow(2, part * c, c).reshape({s, t, heads, c / heads}).transpose(1, 2);
    };
    at::Tensor scores =
        at::matmul(split(0), split(1).transpose(2, 3)) / std::sqrt(static_cast<double>(c / heads));
    const at::Tensor future = at::ones({t, t}, at::kBool).triu(1);
    scores = scores.masked_fill(future, -std::numeric_limits<double>::infinity());
    return at::matmul(at::softmax(scores, -1), split(2)).transpose(1, 2).reshape({s, t, c});
}

// Logits [S, T, vocab_size].
inline at::Tensor twin_logits(const GptConfig& config,
                              const TwinParameters& parameters,
                              const at::Tensor& tokens_ST,
                              const TwinMasks& masks = {}) {
    const std::int64_t t = tokens_ST.size(1);
    const at::Tensor& wte = parameters.at("transformer.wte.weight");
    const auto dropped = [](const at::Tensor& x, const at::Tensor& mask) {
        return mask.defined() ? x * mask : x;
    };
    at::Tensor x = wte.index({tokens_ST.to(at::kLong)}) +
                   parameters.at("transformer.wpe.weight").narrow(0, 0, t);
    x = dropped(x, masks.embedding);
    for (std::int64_t layer = 0; layer < config.n_layer; ++layer) {
        const auto l = static_cast<std::size_t>(layer);
        const std::string block = "transformer.h." + std::to_string(layer) + ".";
        at::Tensor branch =
            twin_linear(parameters,
                        block + "attn.c_proj",
                        twin_attention(twin_linear(parameters,
                                                   block + "attn.c_attn",
                                                   twin_norm(parameters, block + "ln_1", x)),
                                       config.n_head));
        x = x + dropped(branch, masks.attention.empty() ? at::Tensor() : masks.attention.at(l));
        branch = twin_linear(
            parameters,
            block + "mlp.c_proj",
            twin_gelu(twin_linear(
                parameters, block + "mlp.c_fc", twin_norm(parameters, block + "ln_2", x))));
        x = x + dropped(branch, masks.mlp.empty() ? at::Tensor() : masks.mlp.at(l));
    }
    return at::matmul(twin_norm(parameters, "transformer.ln_f", x), wte.t());
}

// Sum of nats; targets of -1 count nothing.
inline at::Tensor twin_loss(const GptConfig& config,
                            const TwinParameters& parameters,
                            const at::Tensor& tokens_ST,
                            const at::Tensor& targets_ST,
                            const TwinMasks& masks = {}) {
    const at::Tensor logits =
        twin_logits(config, parameters, tokens_ST, masks).reshape({-1, config.vocab_size});
    const at::Tensor targets = targets_ST.reshape({-1}).to(at::kLong);
    const at::Tensor counted = targets.ge(0);
    const at::Tensor picked =
        at::log_softmax(logits, -1).gather(1, targets.clamp_min(0).unsqueeze(1)).squeeze(1);
    return -(picked * counted.to(picked.scalar_type())).sum();
}

}  // namespace holdfast::model
