// Looks for numbers that are not finite in the bytes of a state: a checkpoint that holds one is no
// place to go on from. Pure; any thread; reads each byte once.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "state/snapshot.h"

namespace holdfast::state {

struct NonFinite {
    std::string tensor;
    std::int64_t index = 0;  // element of the whole tensor, row-major
    float value = 0;         // nan, inf or -inf
};

// The first one in the order of `tensors`; nothing when there is none. Looks at F32 tensors only.
std::optional<NonFinite> find_non_finite(std::span<const TensorBytes> tensors);

// The first one of what is captured in `snapshot`, in words; empty when there is none.
std::string poison_in_words(Snapshot& snapshot);

}  // namespace holdfast::state
