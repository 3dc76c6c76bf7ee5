#include "state/finite_scan.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include <fmt/format.h>

namespace holdfast::state {

namespace {

constexpr std::uint32_t kExponent = 0x7f800000U;
constexpr std::size_t kBlock = 4096;  // elements

// Whether any of the words has an exponent of all ones. One pass without branches, so that the
// compiler makes vectors of it.
bool any_non_finite(const std::byte* bytes, std::size_t count) {
    std::uint32_t found = 0;
    for (std::size_t i = 0; i < count; ++i) {
        std::uint32_t word = 0;
        std::memcpy(&word, bytes + i * sizeof(word), sizeof(word));
        found |= static_cast<std::uint32_t>((word & kExponent) == kExponent);
    }
    return found != 0;
}

std::optional<NonFinite> find_in(const TensorBytes& tensor) {
    const std::size_t count = tensor.bytes.size() / sizeof(float);
    for (std::size_t begin = 0; begin < count; begin += kBlock) {
        const std::size_t block = std::min(kBlock, count - begin);
        if (!any_non_finite(tensor.bytes.data() + begin * sizeof(float), block)) {
            continue;
        }
        for (std::size_t i = begin; i < begin + block; ++i) {
            std::uint32_t word = 0;
            std::memcpy(&word, tensor.bytes.data() + i * sizeof(word), sizeof(word));
            if ((word & kExponent) == kExponent) {
                return NonFinite{tensor.name,
                                 tensor.element_begin + static_cast<std::int64_t>(i),
                                 std::bit_cast<float>(word)};
            }
        }
    }
    return std::nullopt;
}

}  // namespace

std::optional<NonFinite> find_non_finite(std::span<const TensorBytes> tensors) {
    for (const TensorBytes& tensor : tensors) {
        if (tensor.dtype != "F32") {
            continue;
        }
        if (auto found = find_in(tensor)) {
            return found;
        }
    }
    return std::nullopt;
}

std::string poison_in_words(Snapshot& snapshot) {
    for (const auto& tensors : {snapshot.owned_model_tensors(), snapshot.optimizer_tensors()}) {
        if (const auto found = find_non_finite(tensors)) {
            return fmt::format("{} is {} at element {}", found->tensor, found->value, found->index);
        }
    }
    return "";
}

}  // namespace holdfast::state
