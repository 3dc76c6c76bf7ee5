// A bf16 element as loops see it: the upper sixteen bits of an fp32 number.
#pragma once

#include <cstdint>

namespace holdfast::kernels {

using Bf16Bits = std::uint16_t;

}  // namespace holdfast::kernels
