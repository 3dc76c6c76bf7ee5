#include "kernels/attention_mask.h"

#include <ATen/ops/empty.h>

#include "base/check.h"
#include "kernels/aten_mask.h"
#include "kernels/dropout_loops.h"
#include "kernels/tensor_memory.h"

namespace holdfast::kernels {

at::Tensor attention_factors(const DropoutSite& site,
                             const AttentionTile& tile,
                             at::Device device) {
    if (!device.is_cpu()) {
        return aten_attention_factors(site, tile, device);
    }
    HF_CHECK(tile.first_head + tile.head_count <= kMaskPlaneMax && tile.key_count <= kMaskColumnMax,
             "attention dropout over {} heads and {} keys",
             tile.first_head + tile.head_count,
             tile.key_count);
    const at::Tensor factors = at::empty({tile.head_count, tile.query_count, tile.key_count},
                                         at::TensorOptions().dtype(at::kFloat));
    float* to = write<float>(factors);
    const MaskSource source(site);
    parallel_rows(tile.head_count * tile.query_count,
                  tile.key_count,
                  [&](std::int64_t begin, std::int64_t end) {
                      for (std::int64_t row = begin; row < end; ++row) {
                          const MaskRow mask_row{site.first_sequence_index + tile.sequence,
                                                 tile.first_head + row / tile.query_count,
                                                 tile.first_query + row % tile.query_count};
                          dropout_factors_row_loop(
                              source, mask_row, to + row * tile.key_count, tile.key_count);
                      }
                  });
    return factors;
}

}  // namespace holdfast::kernels
