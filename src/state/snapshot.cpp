#include "state/snapshot.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include <ATen/Parallel.h>
#include <ATen/ops/zeros.h>
#include <c10/core/InferenceMode.h>

#include "base/check.h"

namespace holdfast::state {

namespace {

std::span<std::byte> bytes_of(const at::Tensor& tensor, std::int64_t begin, std::int64_t count) {
    auto* data = static_cast<std::byte*>(tensor.mutable_data_ptr());
    const auto size = static_cast<std::size_t>(tensor.element_size());
    return {data + static_cast<std::size_t>(begin) * size, static_cast<std::size_t>(count) * size};
}

// From a device it may return before the copy is done.
void copy_to_host(const at::Tensor& to, const at::Tensor& from) {
    if (!from.is_cpu()) {
        at::Tensor(to).copy_(from, true);
        return;
    }
    // A long memcpy goes past the caches; copy_() first reads what it overwrites, and takes half as
    // long again.
    const std::span<const std::byte> source = bytes_of(from, 0, from.numel());
    std::byte* target = bytes_of(to, 0, to.numel()).data();
    at::parallel_for(0,
                     static_cast<std::int64_t>(source.size()),
                     std::int64_t{1} << 20,
                     [&](std::int64_t begin, std::int64_t end) {
                         std::memcpy(target + begin,
                                     source.data() + begin,
                                     static_cast<std::size_t>(end - begin));
                     });
}

}  // namespace

bool TensorBytes::is_whole() const {
    std::int64_t elements = 1;
    for (const std::int64_t size : shape) {
        elements *= size;
    }
    return element_begin == 0 && element_end == elements;
}

Snapshot::Snapshot(const model::ArenaLayout& layout,
                   std::vector<optim::ElementRange> owned,
                   at::Device device)
    : layout_(layout), owned_(std::move(owned)) {
    const c10::InferenceMode guard;
    std::int64_t moments = 0;
    for (const optim::ElementRange& range : owned_) {
        arena_begins_.push_back(range.begin);
        moment_begins_.push_back(moments);
        moments += range.size();
    }
    const auto options = at::TensorOptions().pinned_memory(!device.is_cpu());
    const auto fp32 = options.dtype(at::kFloat);
    master_ = at::zeros({layout.element_count()}, fp32);
    first_moment_ = at::zeros({moments}, fp32);
    second_moment_ = at::zeros({moments}, fp32);
    update_count_ = at::zeros({}, options.dtype(at::kLong));
}

void Snapshot::capture(const LiveTensors& live) {
    const c10::InferenceMode guard;
    HF_CHECK(live.master.numel() == master_.numel(), "another layout");
    for (const optim::ElementRange& range : owned_) {
        copy_to_host(master_.narrow(0, range.begin, range.size()),
                     live.master.narrow(0, range.begin, range.size()));
    }
    copy_to_host(first_moment_, live.first_moment);
    copy_to_host(second_moment_, live.second_moment);
    // The last copy waits, and with it, on the same stream, all before it.
    update_count_.copy_(live.update_count);
}

void Snapshot::restore(const LiveTensors& live) const {
    const c10::InferenceMode guard;
    HF_CHECK(live.master.numel() == master_.numel(), "another layout");
    at::Tensor(live.master).copy_(master_);
    at::Tensor(live.first_moment).copy_(first_moment_);
    at::Tensor(live.second_moment).copy_(second_moment_);
    at::Tensor(live.update_count).copy_(update_count_);
}

void Snapshot::add_views(const at::Tensor& arena,
                         const std::vector<optim::ElementRange>& ranges,
                         const std::vector<std::int64_t>& begins,
                         const std::string& prefix,
                         std::vector<TensorBytes>& views) const {
    // Both lists are in arena order.
    std::size_t first = 0;
    for (const model::ArenaTensor& tensor : layout_.tensors()) {
        const std::int64_t tensor_end = tensor.begin + tensor.element_count();
        while (first < ranges.size() && ranges.at(first).end <= tensor.begin) {
            ++first;
        }
        for (std::size_t i = first; i < ranges.size() && ranges.at(i).begin < tensor_end; ++i) {
            const std::int64_t begin = std::max(tensor.begin, ranges.at(i).begin);
            const std::int64_t end = std::min(tensor_end, ranges.at(i).end);
            views.push_back(
                {.name = prefix + tensor.name,
                 .dtype = "F32",
                 .shape = tensor.shape,
                 .bytes = bytes_of(arena, begins.at(i) + (begin - ranges.at(i).begin), end - begin),
                 .element_begin = begin - tensor.begin,
                 .element_end = end - tensor.begin});
        }
    }
}

std::vector<TensorBytes> Snapshot::model_tensors() {
    std::vector<TensorBytes> views;
    add_views(master_, {{0, layout_.element_count()}}, {0}, "", views);
    return views;
}

std::vector<TensorBytes> Snapshot::owned_model_tensors() {
    std::vector<TensorBytes> views;
    add_views(master_, owned_, arena_begins_, "", views);
    return views;
}

std::vector<TensorBytes> Snapshot::optimizer_tensors() {
    std::vector<TensorBytes> views;
    add_views(first_moment_, owned_, moment_begins_, "m.", views);
    add_views(second_moment_, owned_, moment_begins_, "v.", views);
    views.push_back({.name = "update_count",
                     .dtype = "I64",
                     .shape = {},
                     .bytes = bytes_of(update_count_, 0, 1),
                     .element_begin = 0,
                     .element_end = 1});
    return views;
}

std::int64_t Snapshot::bytes_needed(const model::ArenaLayout& layout, std::int64_t owned_elements) {
    return 4 * layout.element_count() + 8 * owned_elements;
}

}  // namespace holdfast::state
