#include "train/host_tokens.h"

#include <ATen/ops/from_blob.h>

#include "base/check.h"

namespace holdfast::train {

at::Tensor host_tokens(std::span<const std::int32_t> tokens, std::int64_t sequences) {
    const auto count = static_cast<std::int64_t>(tokens.size());
    HF_CHECK(
        sequences >= 1 && count % sequences == 0, "{} tokens in {} sequences", count, sequences);
    return at::from_blob(
        const_cast<std::int32_t*>(tokens.data()),  // NOLINT(cppcoreguidelines-pro-type-const-cast)
        {sequences, count / sequences},
        at::TensorOptions().dtype(at::kInt));
}

}  // namespace holdfast::train
