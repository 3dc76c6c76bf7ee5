#include "kernels/aten_mask.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/bitwise_and.h>
#include <ATen/ops/bitwise_right_shift.h>
#include <ATen/ops/bitwise_xor.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros_like.h>

#include "base/check.h"
#include "kernels/dropout_mask.h"

namespace holdfast::kernels {
namespace {

constexpr std::int64_t kWord = 0xFFFFFFFF;

// 32 x 32 -> 64 bits in int64 lanes: the product wraps into the sign, so its upper half is masked.
struct Product {
    at::Tensor high;
    at::Tensor low;
};

Product multiply(const at::Tensor& lanes, std::int64_t factor) {
    const at::Tensor product = lanes * factor;
    return {product.bitwise_right_shift(32).bitwise_and(kWord), product.bitwise_and(kWord)};
}

// base/philox.h in tensors. `first` is [1, G, 16]; the three others are [R, 1, 1].
at::Tensor philox_words(const at::Tensor& first,
                        const at::Tensor& second,
                        const at::Tensor& third,
                        const at::Tensor& fourth,
                        std::uint64_t key) {
    at::Tensor c0 = first;
    at::Tensor c1 = second;
    at::Tensor c2 = third;
    at::Tensor c3 = fourth;
    auto key_low = static_cast<std::uint32_t>(key);
    auto key_high = static_cast<std::uint32_t>(key >> 32U);
    for (int round = 0; round < 10; ++round) {
        const Product product_0 = multiply(c0, 0xD2511F53);
        const Product product_1 = multiply(c2, 0xCD9E8D57);
        c0 = product_1.high.bitwise_xor(c1).bitwise_xor(std::int64_t{key_low});
        c1 = product_1.low;
        c2 = product_0.high.bitwise_xor(c3).bitwise_xor(std::int64_t{key_high});
        c3 = product_0.low;
        key_low += 0x9E3779B9;
        key_high += 0xBB67AE85;
    }
    std::vector<at::Tensor> words = {c0, c1, c2, c3};
    for (at::Tensor& word : words) {
        word = word.expand({second.size(0), first.size(1), first.size(2)});
    }
    return at::stack(words, 2);
}

// sequence, plane and row are int64 [R]; the factors are [R, columns].
at::Tensor factors(const DropoutSite& site,
                   const at::Tensor& sequence,
                   const at::Tensor& plane,
                   const at::Tensor& row,
                   std::int64_t columns) {
    HF_CHECK(columns <= kMaskColumnMax, "{} columns of a dropout mask", columns);
    const std::int64_t groups = (columns + kMaskGroupColumns - 1) / kMaskGroupColumns;
    const at::Tensor position = at::arange(groups * kMaskGroupBlocks, sequence.options())
                                    .view({1, groups, kMaskGroupBlocks});
    const std::int64_t rows = sequence.size(0);
    const auto column_of = [rows](const at::Tensor& values) { return values.view({rows, 1, 1}); };
    const at::Tensor words =
        philox_words(position + column_of(plane) * (std::int64_t{1} << 20),
                     column_of(row),
                     column_of(sequence.bitwise_and(kWord)),
                     column_of(sequence.bitwise_right_shift(32).bitwise_and(kWord)),
                     mask_key(site));
    const at::Tensor kept = words.bitwise_right_shift(8)
                                .ge(std::int64_t{mask_threshold(site.probability)})
                                .view({rows, groups * kMaskGroupColumns})
                                .narrow(1, 0, columns);
    return kept.to(at::kFloat).mul_(mask_scale(site.probability));
}

}  // namespace

at::Tensor aten_activation_factors(const DropoutSite& site,
                                   std::int64_t first_row,
                                   std::int64_t row_count,
                                   std::int64_t columns,
                                   at::Device device) {
    const auto options = at::TensorOptions().dtype(at::kLong).device(device);
    const at::Tensor row = at::arange(first_row, first_row + row_count, options);
    const at::Tensor sequence = row.floor_divide(site.sequence_tokens);
    const at::Tensor time = row - sequence * site.sequence_tokens;
    return factors(site, sequence + site.first_sequence_index, at::zeros_like(row), time, columns);
}

at::Tensor aten_attention_factors(const DropoutSite& site,
                                  const AttentionTile& tile,
                                  at::Device device) {
    HF_CHECK(tile.first_head + tile.head_count <= kMaskPlaneMax,
             "{} heads with attention dropout",
             tile.first_head + tile.head_count);
    const auto options = at::TensorOptions().dtype(at::kLong).device(device);
    const at::Tensor head = at::arange(tile.first_head, tile.first_head + tile.head_count, options);
    const at::Tensor query =
        at::arange(tile.first_query, tile.first_query + tile.query_count, options);
    const at::Tensor plane = head.repeat_interleave(tile.query_count);
    const at::Tensor row = query.repeat({tile.head_count});
    const at::Tensor sequence = at::full_like(row, site.first_sequence_index + tile.sequence);
    return factors(site, sequence, plane, row, tile.key_count)
        .view({tile.head_count, tile.query_count, tile.key_count});
}

}  // namespace holdfast::kernels
