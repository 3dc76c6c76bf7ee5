// Against Hugging Face's GPT-2: recorded by make_transformers_reference.py, which has the same
// formulas.
#include <algorithm>
#include <cmath>
#include <fstream>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "model/gpt.h"
#include "model/model_fixtures.h"
#include "optim/adamw.h"
#include "optim/clip.h"

namespace holdfast::model {
namespace {

constexpr std::int64_t kBatch = 4;
constexpr std::int64_t kContext = 32;
constexpr std::int64_t kVocab = 257;

GptConfig reference_config() {
    GptConfig config;
    config.n_layer = 2;
    config.n_head = 4;
    config.n_embd = 64;
    config.block_size = kContext;
    config.vocab_size = kVocab;
    return config;
}

nlohmann::json reference() {
    std::ifstream file(HOLDFAST_SOURCE_DIR "/tests/model/reference/transformers_gpt2.json");
    return nlohmann::json::parse(file);
}

// A fixed noise in [-0.5, 0.5): an integer hash of element and tensor.
double noise_of(std::uint64_t element, std::uint64_t tensor) {
    auto h = static_cast<std::uint32_t>(element * 2654435761U + (tensor + 1) * 40503U);
    for (int round = 0; round < 2; ++round) {
        h = (h ^ (h >> 16U)) * 0x45D9F3BU;
    }
    h ^= h >> 16U;
    return static_cast<double>(h) * 0x1.0p-32 - 0.5;
}

void fill_weights(Gpt& gpt) {
    std::vector<std::string> names;
    for (const ArenaTensor& tensor : gpt.layout().tensors()) {
        names.push_back(tensor.name);
    }
    std::sort(names.begin(), names.end());
    const c10::InferenceMode guard;
    for (std::size_t k = 0; k < names.size(); ++k) {
        const ArenaTensor& tensor = gpt.layout().find(names[k]);
        const bool is_norm_weight =
            tensor.name.find(".ln_") != std::string::npos && tensor.name.ends_with("weight");
        auto* values = gpt.master().mutable_data_ptr<float>() + tensor.begin;
        for (std::int64_t i = 0; i < tensor.element_count(); ++i) {
            const double noise = noise_of(static_cast<std::uint64_t>(i), k);
            values[i] = static_cast<float>(is_norm_weight ? 1.0 + 0.2 * noise : 0.07 * noise);
        }
    }
    gpt.refresh_compute_copy();
}

// Tokens and, one to the right, targets of batch `step`.
std::pair<at::Tensor, at::Tensor> reference_batch(std::int64_t step) {
    at::Tensor tokens = at::empty({kBatch, kContext}, at::kInt);
    at::Tensor targets = at::empty({kBatch, kContext}, at::kInt);
    const auto token = [&](std::int64_t s, std::int64_t t) {
        return static_cast<std::int32_t>((7919 * step + 104729 * s + 31 * t * t + 17 * t) % kVocab);
    };
    for (std::int64_t s = 0; s < kBatch; ++s) {
        for (std::int64_t t = 0; t < kContext; ++t) {
            tokens.mutable_data_ptr<std::int32_t>()[s * kContext + t] = token(s, t);
            targets.mutable_data_ptr<std::int32_t>()[s * kContext + t] = token(s, t + 1);
        }
    }
    return {tokens, targets};
}

TEST(TransformersReference, LogitsAgree) {
    const nlohmann::json expected = reference();
    const auto kernels = kernels::make_kernels(at::kCPU);
    const ArenaLayout layout(reference_config(), 1);
    Gpt gpt({reference_config(), Precision::kFp32, kBatch}, layout, *kernels);
    fill_weights(gpt);
    const at::Tensor logits = gpt.logits(reference_batch(0).first)[0];
    for (const auto& [row, values] : expected.at("logits_rows").items()) {
        const at::Tensor theirs = at::tensor(values.get<std::vector<double>>());
        EXPECT_LT(relative_distance(logits[std::stoll(row)], theirs), 1e-4) << "row " << row;
    }
}

TEST(TransformersReference, FirstHundredStepsAgree) {
    const nlohmann::json expected = reference();
    const auto kernels = kernels::make_kernels(at::kCPU);
    const ArenaLayout layout(reference_config(), 1);
    Gpt gpt({reference_config(), Precision::kFp32, kBatch}, layout, *kernels);
    fill_weights(gpt);
    const std::vector<optim::ElementRange> owned = {{0, layout.element_count()}};
    std::vector<optim::ElementRange> decaying;
    for (const auto& [begin, end] : layout.decaying_ranges()) {
        decaying.push_back({begin, end});
    }
    optim::AdamW optimizer({.weight_decay = 0.1, .beta1 = 0.9, .beta2 = 0.95, .epsilon = 1e-8},
                           owned,
                           decaying,
                           at::kCPU,
                           optim::Backend::kNative);
    optim::GradientClip clip(layout.element_count(), at::kCPU, optim::Backend::kNative);
    at::Tensor gradient = at::zeros({layout.element_count()}, at::kFloat);
    at::Tensor loss = at::zeros({}, at::kDouble);
    for (std::int64_t step = 0; step < 100; ++step) {
        const auto [tokens, targets] = reference_batch(step % 10);
        gradient.zero_();
        loss.zero_();
        gpt.forward_backward(tokens, targets, {}, kBatch * kContext, gradient, loss);
        clip.measure(gradient, owned);
        clip.finish(loss, 1.0);
        optimizer.update({gpt.master(), gradient, at::Tensor()},
                         clip.outcome(),
                         3e-4,
                         optim::GradientAfter::kScratch);
        const auto index = static_cast<std::size_t>(step);
        const double theirs = expected.at("losses").at(index).get<double>();
        EXPECT_NEAR(loss.item<double>() / (kBatch * kContext) / theirs, 1.0, 1e-4)
            << "step " << step;
        const double their_norm = expected.at("grad_norms").at(index).get<double>();
        EXPECT_NEAR(clip.outcome().norm.item<double>() / their_norm, 1.0, 1e-3) << "step " << step;
    }
}

}  // namespace
}  // namespace holdfast::model
