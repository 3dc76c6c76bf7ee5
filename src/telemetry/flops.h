// What a step costs in floating-point operations, and what part of a device's peak that is (MFU:
// Chowdhery et al., "PaLM", arXiv:2204.02311, appendix B).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace holdfast::telemetry {

// Operations to train on one token, forward and backward: 6 N + 12 L C T, with N all trainable
// numbers (tied head counted once), L layers, C channels, T tokens of a sequence. Attention is
// counted as if it were not causal and recompute is not counted, as nanoGPT and llm.c do, so
// figures compare.
double flops_per_token(std::int64_t parameter_count,
                       std::int64_t n_layer,
                       std::int64_t n_embd,
                       std::int64_t sequence_tokens);

// Peak operations a second of dense bf16 products with fp32 accumulation, by the name the driver
// gives ("NVIDIA GeForce RTX 4060 Laptop GPU"). Nothing for a name that is not in the table, or a
// slice of a device (MIG): no figure is better than a wrong one. FP8 runs are measured against the
// same peak.
std::optional<double> device_peak_flops(std::string_view device_name);

// The part of the peak in use, 0 to 1.
double model_flops_utilisation(double flops_each_token,
                               double tokens_per_second,
                               double peak_flops,
                               std::int64_t device_count);

}  // namespace holdfast::telemetry
