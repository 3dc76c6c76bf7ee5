#include "model/gpt.h"

#include <algorithm>
#include <set>

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <c10/core/InferenceMode.h>

#include "base/check.h"
#include "kernels/cpu_products.h"
#include "model/head.h"
#include "model/initialisation.h"

namespace holdfast::model {

namespace {

at::ScalarType element_type_of(Precision precision) {
    HF_CHECK(precision != Precision::kFp8, "fp8 is refused before a model is made");
    return precision == Precision::kFp32 ? at::kFloat : at::kBFloat16;
}

WorkspaceShape workspace_shape(const GptOptions& options, at::Device device) {
    return {.config = options.config,
            .element_type = element_type_of(options.precision),
            .device = device,
            .sequences_max = options.micro_batch_max};
}

at::Tensor zero_arena(const ArenaLayout& layout, at::ScalarType type, at::Device device) {
    const c10::InferenceMode guard;
    return at::zeros({layout.element_count()}, at::TensorOptions().dtype(type).device(device));
}

}  // namespace

Gpt::Gpt(const GptOptions& options, const ArenaLayout& layout, kernels::Kernels& kernels)
    : options_(options),
      layout_(layout),
      kernels_(kernels),
      master_(zero_arena(layout, at::kFloat, kernels.device())),
      compute_copy_(options.precision == Precision::kFp32
                        ? at::Tensor()
                        : zero_arena(layout, at::kBFloat16, kernels.device())),
      weights_(GptTensors::of(
          compute_copy_.defined() ? compute_copy_ : master_, layout, options.config)),
      workspace_([&] {
          const c10::InferenceMode guard;
          return Workspace(workspace_shape(options, kernels.device()));
      }()) {
    const c10::InferenceMode guard;
    evaluation_sum_ = at::zeros({}, at::TensorOptions().dtype(at::kDouble).device(device()));
}

void Gpt::refresh_compute_copy() {
    if (compute_copy_.defined()) {
        const c10::InferenceMode guard;
        kernels_.cast_to_bf16(master_, compute_copy_);
    }
}

void Gpt::initialise(std::uint64_t seed) {
    const c10::InferenceMode guard;
    for (const ArenaTensor& tensor : layout_.tensors()) {
        at::Tensor values =
            at::empty({tensor.element_count()}, at::TensorOptions().dtype(at::kFloat));
        initialise_tensor(
            tensor.name,
            options_.config,
            seed,
            {values.mutable_data_ptr<float>(), static_cast<std::size_t>(values.numel())});
        master_.narrow(0, tensor.begin, tensor.element_count()).copy_(values);
    }
    refresh_compute_copy();
}

PassContext Gpt::begin_pass(const at::Tensor& tokens_ST, const at::Tensor& targets_ST) {
    const std::int64_t sequences = tokens_ST.size(0);
    const std::int64_t time = tokens_ST.size(1);
    HF_CHECK(sequences <= options_.micro_batch_max && time <= options_.config.block_size,
             "{} x {} tokens, made for {} x {}",
             sequences,
             time,
             options_.micro_batch_max,
             options_.config.block_size);
    workspace_.tokens.narrow(0, 0, sequences * time).view({sequences, time}).copy_(tokens_ST, true);
    if (targets_ST.defined()) {
        workspace_.targets.narrow(0, 0, sequences * time)
            .view({sequences, time})
            .copy_(targets_ST, true);
    }
    return {.kernels = kernels_,
            .config = options_.config,
            .workspace = workspace_,
            .sequences = sequences,
            .time = time};
}

std::int64_t Gpt::bucket_of_layer(std::int64_t layer) const {
    return options_.config.n_layer - layer;
}

void Gpt::before_bucket(std::int64_t bucket) const {
    if (before_bucket_) {
        before_bucket_(bucket);
    }
}

void Gpt::forward(const PassContext& pass) {
    const std::int64_t n = pass.rows();
    // Buckets stand in backward order: embeddings are the last, the final norm the first.
    before_bucket(bucket_of_layer(-1));
    at::Tensor first = rows_of(workspace_.residual.front(), n);
    kernels_.embedding_forward(rows_of(workspace_.tokens, n).view({pass.sequences, pass.time}),
                               weights_.wte,
                               weights_.wpe,
                               pass.dropout(0, DropoutPlace::kEmbedding),
                               first);
    for (std::int64_t layer = 0; layer < options_.config.n_layer; ++layer) {
        before_bucket(bucket_of_layer(layer));
        block_forward(pass, weights_.blocks.at(static_cast<std::size_t>(layer)), layer);
    }
    before_bucket(bucket_of_layer(options_.config.n_layer));
    final_norm_forward(pass, weights_);
}

GptTensors& Gpt::gradient_views(const at::Tensor& gradient) {
    for (auto& [data, views] : gradient_views_) {
        if (data == gradient.const_data_ptr()) {
            return views;
        }
    }
    gradient_views_.emplace_back(gradient.const_data_ptr(),
                                 GptTensors::of(gradient, layout_, options_.config));
    return gradient_views_.back().second;
}

void Gpt::forward_backward(const at::Tensor& tokens_ST,
                           const at::Tensor& targets_ST,
                           const DropoutKey& dropout_key,
                           double gradient_denominator,
                           at::Tensor& gradient,
                           at::Tensor& loss_sum,
                           const BucketHook& bucket_is_done) {
    const c10::InferenceMode guard;
    PassContext pass = begin_pass(tokens_ST, targets_ST);
    pass.seed = dropout_key.seed;
    pass.step = dropout_key.step;
    pass.first_sequence_index = dropout_key.first_sequence_index;
    pass.training = true;
    forward(pass);
    const std::int64_t n = pass.rows();
    GptTensors& gradients = gradient_views(gradient);
    head_loss_and_backward(pass,
                           weights_,
                           gradients,
                           rows_of(workspace_.targets, n),
                           1.0 / gradient_denominator,
                           loss_sum);
    const auto tell = [&](std::int64_t bucket) {
        if (bucket_is_done) {
            bucket_is_done(bucket);
        }
    };
    tell(bucket_of_layer(options_.config.n_layer));
    for (std::int64_t layer = options_.config.n_layer - 1; layer >= 0; --layer) {
        const auto index = static_cast<std::size_t>(layer);
        block_backward(pass, weights_.blocks.at(index), gradients.blocks.at(index), layer);
        tell(bucket_of_layer(layer));
    }
    kernels_.embedding_backward(rows_of(workspace_.stream_gradient, n),
                                rows_of(workspace_.tokens, n).view({pass.sequences, pass.time}),
                                pass.dropout(0, DropoutPlace::kEmbedding),
                                gradients.wte,
                                gradients.wpe);
    tell(bucket_of_layer(-1));
}

double Gpt::evaluate(const at::Tensor& tokens_ST, const at::Tensor& targets_ST) {
    const c10::InferenceMode guard;
    const PassContext pass = begin_pass(tokens_ST, targets_ST);
    forward(pass);
    evaluation_sum_.zero_();
    head_loss(pass, weights_, rows_of(workspace_.targets, pass.rows()), evaluation_sum_);
    return evaluation_sum_.item<double>();
}

at::Tensor Gpt::logits(const at::Tensor& tokens_ST) {
    const c10::InferenceMode guard;
    const PassContext pass = begin_pass(tokens_ST, at::Tensor());
    forward(pass);
    const std::int64_t vocab = options_.config.vocab_size;
    at::Tensor all = at::empty({pass.rows(), vocab}, at::TensorOptions().dtype(at::kFloat));
    head_logits(pass, weights_, [&](std::int64_t begin, at::Tensor& chunk) {
        all.narrow(0, begin, chunk.size(0)).copy_(chunk.narrow(1, 0, vocab));
    });
    return all.view({pass.sequences, pass.time, vocab});
}

GptBytes Gpt::bytes_needed(const GptOptions& options, const ArenaLayout& layout) {
    const WorkspaceBytes workspace = Workspace::bytes_needed(workspace_shape(options, at::kCPU));
    // Scratch that libtorch's bf16 products take on a CPU: a block of memory for each size there
    // is.
    std::set<std::int64_t> matrix_elements;
    std::int64_t products = 0;
    for (const ArenaTensor& tensor : layout.tensors()) {
        if (tensor.stored_shape.size() > 1 &&
            matrix_elements.insert(tensor.stored_element_count()).second) {
            products += tensor.stored_element_count() * 2;
        }
    }
    const GptConfig& config = options.config;
    const std::int64_t product_rows =
        std::min(options.micro_batch_max * config.block_size, kernels::kBf16ProductRows);
    products += product_rows * ((3 + 1 + 4) * config.n_embd + config.padded_vocab_size()) * 4;
    return {.master = layout.element_count() * 4,
            .compute_copy = options.precision == Precision::kFp32 ? 0 : layout.element_count() * 2,
            .activations = workspace.activations,
            .head = workspace.head,
            .attention = workspace.attention,
            .products = options.precision == Precision::kFp32 ? 0 : products};
}

}  // namespace holdfast::model
