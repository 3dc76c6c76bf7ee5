#include "model/generation.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <ATen/ops/bmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/zeros.h>
#include <c10/core/InferenceMode.h>
#include <fmt/format.h>

#include "base/check.h"

namespace holdfast::model {

// Legend: P tokens read in this call, K tokens in the cache with them, H heads, D head size.
struct Generation::State {
    std::vector<at::Tensor> keys;    // a layer: [H, block_size, D]
    std::vector<at::Tensor> values;  // likewise
    at::ScalarType element_type = at::kFloat;
};

namespace {

at::Tensor made_like(const at::Tensor& x, std::int64_t columns) {
    return at::empty({x.size(0), columns}, x.options());
}

at::Tensor normed(kernels::Kernels& kernels,
                  const at::Tensor& x,
                  const at::Tensor& weight,
                  const at::Tensor& bias) {
    at::Tensor out = made_like(x, x.size(1));
    const auto statistics = x.options().dtype(at::kFloat);
    at::Tensor mean = at::empty({x.size(0)}, statistics);
    at::Tensor rstd = at::empty({x.size(0)}, statistics);
    kernels.layer_norm_forward(x, weight, bias, out, mean, rstd);
    return out;
}

at::Tensor projected(kernels::Kernels& kernels,
                     const at::Tensor& x,
                     const at::Tensor& weight,
                     const at::Tensor& bias) {
    at::Tensor out = made_like(x, weight.size(0));
    kernels.linear_forward(x, weight, bias, out);
    return out;
}

// Attention of P new queries over K cached keys: query p sees keys up to K - P + p. fp32 inside.
at::Tensor attend(const at::Tensor& queries_HPD,
                  const at::Tensor& keys_HKD,
                  const at::Tensor& values_HKD) {
    const std::int64_t new_count = queries_HPD.size(1);
    const std::int64_t key_count = keys_HKD.size(1);
    const double scale = 1.0 / std::sqrt(static_cast<double>(queries_HPD.size(2)));
    at::Tensor scores =
        at::bmm(queries_HPD.to(at::kFloat), keys_HKD.to(at::kFloat).transpose(1, 2)).mul_(scale);
    for (std::int64_t p = 0; p + 1 < new_count; ++p) {
        const std::int64_t visible = key_count - new_count + p + 1;
        scores.select(1, p)
            .narrow(1, visible, key_count - visible)
            .fill_(-std::numeric_limits<float>::infinity());
    }
    return at::bmm(at::softmax(scores, -1), values_HKD.to(at::kFloat))
        .to(queries_HPD.scalar_type());
}

}  // namespace

Generation::Generation(Gpt& gpt) : gpt_(gpt), state_(std::make_unique<State>()) {
    const c10::InferenceMode guard;
    const GptConfig& config = gpt.config();
    const at::TensorOptions options = gpt.weights().wte.options();
    for (std::int64_t layer = 0; layer < config.n_layer; ++layer) {
        for (auto* cache : {&state_->keys, &state_->values}) {
            cache->push_back(
                at::zeros({config.n_head, config.block_size, config.head_size()}, options));
        }
    }
    logits_.resize(static_cast<std::size_t>(config.vocab_size));
}

Generation::~Generation() = default;

base::Status Generation::check_tokens(std::span<const std::int32_t> tokens) const {
    for (const std::int32_t token : tokens) {
        if (token < 0 || token >= gpt_.config().vocab_size) {
            return base::Error{base::ErrorKind::kInvalid,
                               fmt::format("token {} is outside the model's vocabulary of {}",
                                           token,
                                           gpt_.config().vocab_size),
                               0};
        }
    }
    return base::Status{};
}

std::span<const float> Generation::read(std::span<const std::int32_t> tokens,
                                        std::int64_t position) {
    const c10::InferenceMode guard;
    const GptConfig& config = gpt_.config();
    const GptTensors& weights = gpt_.weights();
    kernels::Kernels& kernels = gpt_.kernels();
    const auto count = static_cast<std::int64_t>(tokens.size());
    const std::int64_t c = config.n_embd;
    const std::int64_t key_count = position + count;

    at::Tensor ids = at::empty({1, count}, at::TensorOptions().dtype(at::kInt));
    std::copy(tokens.begin(), tokens.end(), ids.mutable_data_ptr<std::int32_t>());
    at::Tensor stream = at::empty({count, c}, weights.wte.options());
    kernels.embedding_forward(
        ids.to(gpt_.device()), weights.wte, weights.wpe.narrow(0, position, count), {}, stream);
    for (std::size_t layer = 0; layer < weights.blocks.size(); ++layer) {
        const BlockTensors& block = weights.blocks[layer];
        const at::Tensor qkv =
            projected(kernels,
                      normed(kernels, stream, block.ln_1_weight, block.ln_1_bias),
                      block.attn_weight,
                      block.attn_bias)
                .view({count, 3, config.n_head, config.head_size()})
                .permute({1, 2, 0, 3});
        state_->keys[layer].narrow(1, position, count).copy_(qkv.select(0, 1));
        state_->values[layer].narrow(1, position, count).copy_(qkv.select(0, 2));
        const at::Tensor attended = attend(qkv.select(0, 0),
                                           state_->keys[layer].narrow(1, 0, key_count),
                                           state_->values[layer].narrow(1, 0, key_count));
        const at::Tensor joined = attended.transpose(0, 1).reshape({count, c});
        stream =
            stream.add(projected(kernels, joined, block.attn_proj_weight, block.attn_proj_bias));
        const at::Tensor wide =
            projected(kernels,
                      normed(kernels, stream, block.ln_2_weight, block.ln_2_bias),
                      block.fc_weight,
                      block.fc_bias);
        at::Tensor activated = made_like(wide, wide.size(1));
        kernels.gelu_forward(wide, activated);
        stream =
            stream.add(projected(kernels, activated, block.mlp_proj_weight, block.mlp_proj_bias));
    }
    const at::Tensor last =
        normed(kernels, stream.narrow(0, count - 1, 1), weights.ln_f_weight, weights.ln_f_bias);
    const at::Tensor logits = projected(kernels, last, weights.wte, at::Tensor())
                                  .narrow(1, 0, config.vocab_size)
                                  .to(at::kCPU, at::kFloat)
                                  .contiguous();
    std::copy_n(logits.const_data_ptr<float>(), logits_.size(), logits_.begin());
    return logits_;
}

base::Result<std::span<const float>> Generation::start(std::span<const std::int32_t> prompt) {
    if (prompt.empty()) {
        return base::Error{base::ErrorKind::kInvalid, "the prompt has no token", 0};
    }
    const base::Status checked = check_tokens(prompt);
    if (!checked.ok()) {
        return checked.error();
    }
    const auto block_size = static_cast<std::size_t>(gpt_.config().block_size);
    if (prompt.size() > block_size) {
        prompt = prompt.last(std::max<std::size_t>(1, block_size / 2));
    }
    window_.assign(prompt.begin(), prompt.end());
    return read(window_, 0);
}

base::Result<std::span<const float>> Generation::append(std::int32_t token) {
    HF_CHECK(!window_.empty(), "append() before start()");
    const base::Status checked = check_tokens({&token, 1});
    if (!checked.ok()) {
        return checked.error();
    }
    if (static_cast<std::int64_t>(window_.size()) == gpt_.config().block_size) {
        const auto kept = std::max<std::ptrdiff_t>(1, gpt_.config().block_size / 2) - 1;
        window_.erase(window_.begin(), window_.end() - kept);
        window_.push_back(token);
        return read(window_, 0);
    }
    window_.push_back(token);
    return read({&window_.back(), 1}, static_cast<std::int64_t>(window_.size()) - 1);
}

base::Result<std::vector<std::int32_t>> Generation::generate(
    std::span<const std::int32_t> prompt,
    std::int64_t token_count_max,
    const SamplerConfig& sampler_config,
    std::int32_t stop_token,
    const std::function<bool(std::int32_t token)>& on_token) {
    Sampler sampler(sampler_config);
    std::vector<std::int32_t> written;
    base::Result<std::span<const float>> logits = start(prompt);
    auto position = static_cast<std::int64_t>(prompt.size());
    while (true) {
        if (!logits.ok()) {
            return logits.error();
        }
        if (static_cast<std::int64_t>(written.size()) >= token_count_max) {
            return written;
        }
        const std::int32_t token = sampler.next(logits.value(), position++);
        written.push_back(token);
        if ((on_token && !on_token(token)) || token == stop_token) {
            return written;
        }
        logits = append(token);
    }
}

}  // namespace holdfast::model
