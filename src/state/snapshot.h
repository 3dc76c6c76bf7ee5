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
// Owns the buffers (3 arenas). Knows tensors; knows nothing of files. One thread at a time: while a
// saver reads the views nobody may capture.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "model/arena.h"

namespace holdfast::state {

// A stored tensor: `dtype` in the words of safetensors, row-major little-endian bytes.
struct TensorBytes {
    std::string name;
    std::string dtype;
    std::vector<std::int64_t> shape;
    std::span<std::byte> bytes;
};

// The live tensors of a run, on their device: fp32 arenas of one layout, and the optimizer's int64
// count.
struct LiveTensors {
    at::Tensor master;
    at::Tensor first_moment;
    at::Tensor second_moment;
    at::Tensor update_count;
};

class Snapshot {
public:
    // Page-locked when `device` is no CPU.
    Snapshot(const model::ArenaLayout& layout, at::Device device);

    void capture(const LiveTensors& live);
    // The other way round; moments of a checkpoint without them (weights only) are the caller's
    // matter.
    void restore(const LiveTensors& live) const;

    [[nodiscard]] std::vector<TensorBytes> model_tensors();
    [[nodiscard]] std::vector<TensorBytes> optimizer_tensors();

    static std::int64_t bytes_needed(const model::ArenaLayout& layout);

private:
    void add_views(const at::Tensor& arena,
                   const std::string& prefix,
                   std::vector<TensorBytes>& views) const;

    model::ArenaLayout layout_;
    at::Tensor master_;
    at::Tensor first_moment_;
    at::Tensor second_moment_;
    at::Tensor update_count_;
};

}  // namespace holdfast::state
