// The parameter arena: all parameters in one flat buffer, tensors as named views.
//
// The layout is a pure function of the model's shape and the lane count; nothing in it depends on
// ranks. Buckets stand in backward order (final norm, blocks from the last to the first,
// embeddings), so a bucket's gradients are final one after another. Each tensor starts at a
// multiple of 16 elements (64 bytes of fp32); each bucket is padded so that it cuts into `lanes`
// equal pieces, each a multiple of kPieceElements. Padding is zero and stays zero; it is not
// written to files. Masters, gradients, moments and the bf16 compute copy have the same layout.
// Values; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>

#include "model/gpt_config.h"

namespace holdfast::model {

// Elements of a block of the gradient norm (optim/clip.h has the same number, checked where they
// meet).
inline constexpr std::int64_t kPieceElements = 1024;

struct ArenaTensor {
    std::string name;                 // as nanoGPT: "transformer.h.0.attn.c_attn.weight", [out, in]
    std::vector<std::int64_t> shape;  // logical: without the padding rows of wte
    std::vector<std::int64_t> stored_shape;  // with them; a prefix of it holds `shape` contiguously
    std::int64_t begin = 0;                  // element index in the arena
    bool decays = false;                     // matrices and embeddings

    [[nodiscard]] std::int64_t element_count() const;         // of shape
    [[nodiscard]] std::int64_t stored_element_count() const;  // of stored_shape
};

struct ArenaBucket {
    std::int64_t begin = 0;
    std::int64_t end = 0;     // padding included
    std::int64_t layer = -1;  // block index; -1 for final norm and embeddings
};

class ArenaLayout {
public:
    // `config` is valid and knows its vocabulary.
    ArenaLayout(const GptConfig& config, std::int64_t lanes);

    [[nodiscard]] std::int64_t element_count() const { return element_count_; }  // padding included
    [[nodiscard]] const std::vector<ArenaTensor>& tensors() const {
        return tensors_;
    }  // in arena order
    [[nodiscard]] const std::vector<ArenaBucket>& buckets() const { return buckets_; }
    [[nodiscard]] const ArenaTensor& find(std::string_view name) const;  // HF_CHECK: it exists
    // Element ranges [begin, end) with weight decay, in order, merged.
    [[nodiscard]] std::vector<std::pair<std::int64_t, std::int64_t>> decaying_ranges() const;

    // The view of a tensor (stored shape) in a flat arena of this layout.
    [[nodiscard]] static at::Tensor view(const at::Tensor& arena, const ArenaTensor& tensor);

private:
    void begin_bucket();
    void add(std::string name,
             std::vector<std::int64_t> shape,
             bool decays,
             std::int64_t stored_rows = 0);
    void end_bucket(std::int64_t lanes, std::int64_t layer);

    std::int64_t element_count_ = 0;
    std::vector<ArenaTensor> tensors_;
    std::vector<ArenaBucket> buckets_;
};

}  // namespace holdfast::model
