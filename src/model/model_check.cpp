#include "model/model_check.h"

#include <cmath>
#include <memory>

#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/sin.h>
#include <ATen/ops/zeros.h>
#include <c10/core/InferenceMode.h>
#include <fmt/format.h>

#include "kernels/kernels.h"
#include "model/gpt.h"

namespace holdfast::model {

namespace {

constexpr std::int64_t kSequences = 3;
constexpr std::int64_t kMicroBatches = 2;
constexpr std::uint64_t kSeed = 11;

GptConfig small_shape() {
    GptConfig config;
    config.n_layer = 2;
    config.n_head = 4;
    config.n_embd = 64;
    config.block_size = 32;
    config.vocab_size = 101;
    config.dropout = 0.1;
    return config;
}

at::Tensor tokens_of(const GptConfig& config, std::int64_t number) {
    at::Tensor tokens =
        at::empty({kSequences, config.block_size}, at::TensorOptions().dtype(at::kInt));
    auto* values = tokens.mutable_data_ptr<std::int32_t>();
    for (std::int64_t i = 0; i < tokens.numel(); ++i) {
        values[i] = static_cast<std::int32_t>((i * 7919 + number * 104729 + i * i * 31) %
                                              config.vocab_size);
    }
    return tokens;
}

// On the CPU.
struct Outcome {
    double loss = 0;
    at::Tensor gradient;
};

Outcome compute(kernels::Kernels& kernels, Precision precision) {
    const c10::InferenceMode inference;
    const GptConfig config = small_shape();
    const ArenaLayout layout(config, 1);
    Gpt gpt({config, precision, kSequences}, layout, kernels);
    gpt.initialise(kSeed);
    // Away from the small weights of a new model, with which everything is nearly linear.
    for (const ArenaTensor& tensor : layout.tensors()) {
        const at::Tensor index =
            at::arange(tensor.element_count(), at::TensorOptions().dtype(at::kDouble));
        gpt.master()
            .narrow(0, tensor.begin, tensor.element_count())
            .add_(at::sin(index.mul(0.37).add(static_cast<double>(tensor.begin)))
                      .mul_(0.1)
                      .to(at::TensorOptions(kernels.device()).dtype(at::kFloat)));
    }
    gpt.refresh_compute_copy();
    const at::TensorOptions on_device = at::TensorOptions().device(kernels.device());
    at::Tensor gradient = at::zeros({layout.element_count()}, on_device.dtype(at::kFloat));
    at::Tensor loss_sum = at::zeros({}, on_device.dtype(at::kDouble));
    const auto target_count = static_cast<double>(kMicroBatches * kSequences * config.block_size);
    for (std::int64_t i = 0; i < kMicroBatches; ++i) {
        gpt.forward_backward(tokens_of(config, 2 * i),
                             tokens_of(config, 2 * i + 1),
                             {.seed = kSeed, .step = 1, .first_sequence_index = i * kSequences},
                             target_count,
                             gradient,
                             loss_sum);
    }
    return {loss_sum.item<double>() / target_count, gradient.to(at::kCPU)};
}

// |a - b| / |b|, in the 2-norm.
double relative_distance(const at::Tensor& a, const at::Tensor& b) {
    const at::Tensor expected = b.to(at::kDouble);
    return a.to(at::kDouble).sub(expected).norm().item<double>() / expected.norm().item<double>();
}

base::Status check(kernels::Kernels& kernels, kernels::Kernels& reference, Precision precision) {
    const bool is_fp32 = precision == Precision::kFp32;
    const auto wrong = [&](const std::string& what) {
        return base::Error{base::ErrorKind::kInvalid,
                           fmt::format("a small model in {} on {}: {}; do not train on it before "
                                       "this is explained",
                                       is_fp32 ? "fp32" : "bf16",
                                       kernels.device().str(),
                                       what),
                           0};
    };
    const Outcome first = compute(kernels, precision);
    const Outcome second = compute(kernels, precision);
    if (first.loss != second.loss || !at::equal(first.gradient, second.gradient)) {
        return wrong(
            fmt::format("two equal steps gave other bits (loss {} and {}), so a resumed "
                        "run would not be the same",
                        first.loss,
                        second.loss));
    }
    const Outcome expected = compute(reference, precision);
    const double loss_bound = is_fp32 ? 1e-5 : 1e-2;
    const double gradient_bound = is_fp32 ? 1e-4 : 1e-1;
    const double loss_distance = std::abs(first.loss / expected.loss - 1);
    const double gradient_distance = relative_distance(first.gradient, expected.gradient);
    // Written so that a NaN is wrong.
    if (!(loss_distance <= loss_bound && gradient_distance <= gradient_bound)) {
        return wrong(
            fmt::format("loss and gradient are {:.2g} and {:.2g} from the CPU's, {:.0e} "
                        "and {:.0e} are allowed",
                        loss_distance,
                        gradient_distance,
                        loss_bound,
                        gradient_bound));
    }
    return {};
}

}  // namespace

base::Status self_check(c10::Device device) {
    const std::unique_ptr<kernels::Kernels> kernels = kernels::make_kernels(device);
    const std::unique_ptr<kernels::Kernels> reference =
        kernels::make_aten_kernels(c10::Device(c10::kCPU));
    for (const Precision precision : {Precision::kFp32, Precision::kBf16}) {
        base::Status status = check(*kernels, *reference, precision);
        if (!status.ok()) {
            return status;
        }
    }
    return {};
}

}  // namespace holdfast::model
