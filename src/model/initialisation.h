// GPT-2's initialisation as a function of (seed, tensor name, element): the same values whatever
// the layout, the device or the order in which tensors are filled.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "model/gpt_config.h"

namespace holdfast::model {

// Fills `values`, the logical elements of the tensor `name` in row-major order. Matrices and
// embeddings: normal(0, 0.02), the two projections onto the residual stream normal(0, 0.02 / sqrt(2
// n_layer)); biases 0; norm weights 1.
//
// Elements 2i and 2i + 1 are the Box-Muller pair of the Philox block with counter {i low, i high,
// XXH3-64 of the name low, high} under the key of stream kInitialisation: u1 = (word0 + 1) / 2^32,
// u2 = word1 / 2^32, in fp64.
void initialise_tensor(std::string_view name,
                       const GptConfig& config,
                       std::uint64_t seed,
                       std::span<float> values);

}  // namespace holdfast::model
