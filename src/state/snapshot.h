// The tensors of a run as bytes in host memory, and back.
//
// capture() is the one memory copy that a save makes the step loop wait for: whole arenas, into
// buffers that were allocated and touched once. model_tensors() and optimizer_tensors() are views
// of those buffers, with the names and shapes a checkpoint stores; a load writes through the same
// views, then restore() copies them into the live tensors.
//
// Names: parameters as nanoGPT; `m.NAME` and `v.NAME`, the first and second moment of AdamW;
// `update_count`. Arena padding is in no view: it is zero everywhere and stays so.
//
// A rank that owns parts of the arena captures those parts: then views are fragments of tensors,
// and only the weights that are loaded are whole, since every rank computes with all of them.
//
// Owns the buffers: one arena, and the moments of the owned ranges. Knows tensors; knows nothing of
// files. One thread at a time: while a saver reads the views nobody may capture.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "model/arena.h"
#include "optim/element_range.h"

namespace holdfast::state {

// A stored tensor, or elements [element_begin, element_end) of its flat form: `dtype` in the words
// of safetensors, row-major little-endian bytes.
struct TensorBytes {
    std::string name;
    std::string dtype;
    std::vector<std::int64_t> shape;  // of the whole tensor
    std::span<std::byte> bytes;
    std::int64_t element_begin = 0;
    std::int64_t element_end = 0;

    [[nodiscard]] bool is_whole() const;
};

// The live tensors of a run, on their device: the fp32 arena, the moments of the owned ranges, and
// the optimizer's int64 count.
struct LiveTensors {
    at::Tensor master;
    at::Tensor first_moment;
    at::Tensor second_moment;
    at::Tensor update_count;
};

class Snapshot {
public:
    // `owned`: ranges of the arena, in order; the whole arena of a single rank. Page-locked when
    // `device` is no CPU.
    Snapshot(const model::ArenaLayout& layout,
             std::vector<optim::ElementRange> owned,
             at::Device device);

    // The owned ranges.
    void capture(const LiveTensors& live);
    // The other way round, and all weights; moments of a checkpoint without them (weights only) are
    // the caller's matter.
    void restore(const LiveTensors& live) const;

    // All weights: where they are loaded.
    [[nodiscard]] std::vector<TensorBytes> model_tensors();
    // Of the weights, what is captured.
    [[nodiscard]] std::vector<TensorBytes> owned_model_tensors();
    // The moments of the owned ranges, and the count, which is last.
    [[nodiscard]] std::vector<TensorBytes> optimizer_tensors();

    [[nodiscard]] const model::ArenaLayout& layout() const { return layout_; }

    static std::int64_t bytes_needed(const model::ArenaLayout& layout, std::int64_t owned_elements);

private:
    // Views of `arena`, in which the owned range i begins at element begins[i].
    void add_views(const at::Tensor& arena,
                   const std::vector<optim::ElementRange>& ranges,
                   const std::vector<std::int64_t>& begins,
                   const std::string& prefix,
                   std::vector<TensorBytes>& views) const;

    model::ArenaLayout layout_;
    std::vector<optim::ElementRange> owned_;
    std::vector<std::int64_t> arena_begins_;   // of the owned ranges, in the arena
    std::vector<std::int64_t> moment_begins_;  // and in the moments
    at::Tensor master_;
    at::Tensor first_moment_;
    at::Tensor second_moment_;
    at::Tensor update_count_;
};

}  // namespace holdfast::state
