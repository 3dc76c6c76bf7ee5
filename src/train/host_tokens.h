// Token buffers of the data room, seen as tensors.
#pragma once

#include <cstdint>
#include <span>

#include <ATen/core/Tensor.h>

namespace holdfast::train {

// int32 [sequences, tokens.size() / sequences] over the caller's memory, which must outlive the
// tensor. The model only reads tokens; a tensor knows no const.
at::Tensor host_tokens(std::span<const std::int32_t> tokens, std::int64_t sequences);

}  // namespace holdfast::train
