#include "optim/optimizer_bytes.h"

#include "optim/norm_block.h"

namespace holdfast::optim {

std::int64_t bytes_needed(std::int64_t arena_elements, std::int64_t owned_elements) {
    constexpr std::int64_t kScalarBytes = 8 + 4 + 4 + 8;
    return 8 * owned_elements + 8 * (arena_elements / kNormBlockElements) + kScalarBytes;
}

}  // namespace holdfast::optim
