#include "kernels/kernel_cases.h"

#include <utility>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>

namespace holdfast::kernels {
namespace {

constexpr std::int64_t kTokens = 37;
constexpr std::int64_t kHeads = 3;
constexpr std::int64_t kChannels = 72;
constexpr std::int64_t kVocab = 133;
constexpr std::int64_t kPaddedVocab = 192;

// The inputs of one case, in the order in which they are asked for.
class Inputs {
public:
    Inputs(at::ScalarType dtype, at::Device device, std::int64_t sequences)
        : sequences_(sequences),
          dtype_(dtype),
          device_(device),
          generator_(at::make_generator<at::CPUGeneratorImpl>(20)) {}

    [[nodiscard]] std::int64_t sequences() const { return sequences_; }
    [[nodiscard]] std::int64_t rows() const { return sequences_ * kTokens; }

    at::Tensor normal(at::IntArrayRef shape) { return normal_fp32(shape).to(dtype_); }
    at::Tensor normal_fp32(at::IntArrayRef shape) {
        return at::randn(shape, generator_, at::TensorOptions().dtype(at::kFloat)).to(device_);
    }
    at::Tensor integers(std::int64_t low, std::int64_t high, at::IntArrayRef shape) {
        return at::randint(low, high, shape, generator_, at::TensorOptions().dtype(at::kInt))
            .to(device_);
    }
    at::Tensor empty(at::IntArrayRef shape) {
        return at::empty(shape, at::TensorOptions().dtype(dtype_).device(device_));
    }
    at::Tensor zeros(at::IntArrayRef shape, at::ScalarType dtype) {
        return at::zeros(shape, at::TensorOptions().dtype(dtype).device(device_));
    }

private:
    std::int64_t sequences_;
    at::ScalarType dtype_;
    at::Device device_;
    at::Generator generator_;
};

DropoutSite site_of(double probability) {
    DropoutSite site;
    site.seed = 7;
    site.step = (std::int64_t{1} << 33) + 5;
    site.first_sequence_index = (std::int64_t{1} << 32) - 1;
    site.sequence_tokens = kTokens;
    site.layer = 3;
    site.site = 2;
    site.probability = probability;
    return site;
}

std::vector<at::Tensor> linear(Kernels& kernels, Inputs inputs, bool with_bias) {
    const std::int64_t outputs = 95;
    const at::Tensor x = inputs.normal({inputs.rows(), kChannels});
    const at::Tensor weight = inputs.normal({outputs, kChannels});
    const at::Tensor bias = with_bias ? inputs.normal({outputs}) : at::Tensor();
    const at::Tensor dout = inputs.normal({inputs.rows(), outputs});
    at::Tensor out = inputs.empty({inputs.rows(), outputs});
    at::Tensor dx = inputs.empty({inputs.rows(), kChannels});
    at::Tensor dweight = inputs.normal_fp32({outputs, kChannels});
    at::Tensor dbias = with_bias ? inputs.normal_fp32({outputs}) : at::Tensor();
    kernels.linear_forward(x, weight, bias, out);
    kernels.linear_backward_input(dout, weight, dx);
    kernels.linear_backward_weight(dout, x, dweight, dbias);
    std::vector<at::Tensor> outs = {out, dx, dweight};
    if (with_bias) {
        outs.push_back(dbias);
    }
    return outs;
}

std::vector<at::Tensor> layer_norm(Kernels& kernels, Inputs inputs, bool with_beta) {
    const at::Tensor x = inputs.normal({inputs.rows(), kChannels});
    const at::Tensor gamma = inputs.normal({kChannels});
    const at::Tensor beta = with_beta ? inputs.normal({kChannels}) : at::Tensor();
    const at::Tensor dout = inputs.normal({inputs.rows(), kChannels});
    at::Tensor out = inputs.empty({inputs.rows(), kChannels});
    at::Tensor mean = inputs.zeros({inputs.rows()}, at::kFloat);
    at::Tensor rstd = inputs.zeros({inputs.rows()}, at::kFloat);
    at::Tensor dresidual = inputs.normal({inputs.rows(), kChannels});
    at::Tensor dgamma = inputs.normal_fp32({kChannels});
    at::Tensor dbeta = with_beta ? inputs.normal_fp32({kChannels}) : at::Tensor();
    kernels.layer_norm_forward(x, gamma, beta, out, mean, rstd);
    kernels.layer_norm_backward(dout, x, gamma, mean, rstd, dresidual, dgamma, dbeta);
    std::vector<at::Tensor> outs = {out, mean, rstd, dresidual, dgamma};
    if (with_beta) {
        outs.push_back(dbeta);
    }
    return outs;
}

std::vector<at::Tensor> gelu(Kernels& kernels, Inputs inputs) {
    const at::Tensor x = inputs.normal({inputs.rows(), kChannels});
    at::Tensor out = inputs.empty({inputs.rows(), kChannels});
    at::Tensor dout = inputs.normal({inputs.rows(), kChannels});
    kernels.gelu_forward(x, out);
    kernels.gelu_backward(x, dout);
    return {out, dout};
}

std::vector<at::Tensor> attention(Kernels& kernels, Inputs inputs, double probability) {
    const at::Tensor qkv = inputs.normal({inputs.sequences(), kTokens, 3 * kChannels});
    const at::Tensor dout = inputs.normal({inputs.sequences(), kTokens, kChannels});
    at::Tensor dqkv = inputs.empty({inputs.sequences(), kTokens, 3 * kChannels});
    AttentionMemory memory;
    const DropoutSite site = site_of(probability);
    kernels.attention_forward(qkv, kHeads, site, memory);
    kernels.attention_backward(dout, qkv, kHeads, site, memory, dqkv);
    return {memory.out, dqkv};
}

std::vector<at::Tensor> dropout(Kernels& kernels, Inputs inputs, double probability) {
    const at::Tensor residual = inputs.normal({inputs.rows(), kChannels});
    const at::Tensor branch = inputs.normal({inputs.rows(), kChannels});
    at::Tensor out = inputs.empty({inputs.rows(), kChannels});
    at::Tensor dbranch = inputs.empty({inputs.rows(), kChannels});
    kernels.dropout_add(residual, branch, site_of(probability), out);
    kernels.dropout_backward(branch, site_of(probability), dbranch);
    return {out, dbranch};
}

std::vector<at::Tensor> embedding(Kernels& kernels, Inputs inputs, double probability) {
    const at::Tensor tokens = inputs.integers(0, kVocab, {inputs.sequences(), kTokens});
    const at::Tensor wte = inputs.normal({kPaddedVocab, kChannels});
    const at::Tensor wpe = inputs.normal({kTokens + 5, kChannels});
    const at::Tensor dout = inputs.normal({inputs.rows(), kChannels});
    at::Tensor out = inputs.empty({inputs.rows(), kChannels});
    at::Tensor dwte = inputs.normal_fp32({kPaddedVocab, kChannels});
    at::Tensor dwpe = inputs.normal_fp32({kTokens + 5, kChannels});
    kernels.embedding_forward(tokens, wte, wpe, site_of(probability), out);
    kernels.embedding_backward(dout, tokens, site_of(probability), dwte, dwpe);
    return {out, dwte, dwpe};
}

std::vector<at::Tensor> cross_entropy(Kernels& kernels, Inputs inputs) {
    at::Tensor logits = inputs.normal({inputs.rows(), kPaddedVocab}).mul_(3.0);
    const at::Tensor targets = inputs.integers(-1, kVocab, {inputs.rows()});
    at::Tensor loss = inputs.zeros({}, at::kDouble);
    kernels.cross_entropy_loss(logits, targets, kVocab, loss);
    kernels.cross_entropy_in_place(logits, targets, kVocab, 0.25, loss);
    return {logits, loss};
}

std::vector<at::Tensor> cast(Kernels& kernels, Inputs inputs) {
    const at::Tensor from = inputs.normal_fp32({inputs.rows(), kChannels + 1});
    at::Tensor to = inputs.zeros({inputs.rows(), kChannels + 1}, at::kBFloat16);
    kernels.cast_to_bf16(from, to);
    return {to};
}

}  // namespace

std::vector<KernelCase> kernel_cases(at::ScalarType dtype, std::int64_t sequences) {
    std::vector<KernelCase> cases;
    const auto add = [&](std::string name, auto body) {
        cases.push_back({std::move(name), [dtype, sequences, body](Kernels& kernels) {
                             std::vector<at::Tensor> outputs =
                                 body(kernels, Inputs(dtype, kernels.device(), sequences));
                             for (at::Tensor& output : outputs) {
                                 output = output.to(at::kCPU);
                             }
                             return outputs;
                         }});
    };
    using List = std::vector<at::Tensor>;
    add("linear", [](Kernels& k, const Inputs& i) -> List { return linear(k, i, true); });
    add("linear_without_bias",
        [](Kernels& k, const Inputs& i) -> List { return linear(k, i, false); });
    add("layer_norm", [](Kernels& k, const Inputs& i) -> List { return layer_norm(k, i, true); });
    add("layer_norm_without_beta",
        [](Kernels& k, const Inputs& i) -> List { return layer_norm(k, i, false); });
    add("gelu", [](Kernels& k, const Inputs& i) -> List { return gelu(k, i); });
    add("attention", [](Kernels& k, const Inputs& i) -> List { return attention(k, i, 0.0); });
    add("attention_with_dropout",
        [](Kernels& k, const Inputs& i) -> List { return attention(k, i, 0.3); });
    add("residual", [](Kernels& k, const Inputs& i) -> List { return dropout(k, i, 0.0); });
    add("dropout", [](Kernels& k, const Inputs& i) -> List { return dropout(k, i, 0.3); });
    add("embedding", [](Kernels& k, const Inputs& i) -> List { return embedding(k, i, 0.0); });
    add("embedding_with_dropout",
        [](Kernels& k, const Inputs& i) -> List { return embedding(k, i, 0.3); });
    add("cross_entropy", [](Kernels& k, const Inputs& i) -> List { return cross_entropy(k, i); });
    add("cast_to_bf16", [](Kernels& k, const Inputs& i) -> List { return cast(k, i); });
    return cases;
}

}  // namespace holdfast::kernels
