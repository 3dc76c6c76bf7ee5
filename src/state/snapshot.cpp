#include "state/snapshot.h"

#include <cstring>

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

Snapshot::Snapshot(const model::ArenaLayout& layout, at::Device device) : layout_(layout) {
    const c10::InferenceMode guard;
    const auto options = at::TensorOptions().pinned_memory(!device.is_cpu());
    for (at::Tensor* arena : {&master_, &first_moment_, &second_moment_}) {
        *arena = at::zeros({layout.element_count()}, options.dtype(at::kFloat));
    }
    update_count_ = at::zeros({}, options.dtype(at::kLong));
}

void Snapshot::capture(const LiveTensors& live) {
    const c10::InferenceMode guard;
    HF_CHECK(live.master.numel() == master_.numel(), "another layout");
    copy_to_host(master_, live.master);
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
                         const std::string& prefix,
                         std::vector<TensorBytes>& views) const {
    for (const model::ArenaTensor& tensor : layout_.tensors()) {
        views.push_back({prefix + tensor.name,
                         "F32",
                         tensor.shape,
                         bytes_of(arena, tensor.begin, tensor.element_count())});
    }
}

std::vector<TensorBytes> Snapshot::model_tensors() {
    std::vector<TensorBytes> views;
    add_views(master_, "", views);
    return views;
}

std::vector<TensorBytes> Snapshot::optimizer_tensors() {
    std::vector<TensorBytes> views;
    add_views(first_moment_, "m.", views);
    add_views(second_moment_, "v.", views);
    views.push_back({"update_count", "I64", {}, bytes_of(update_count_, 0, 1)});
    return views;
}

std::int64_t Snapshot::bytes_needed(const model::ArenaLayout& layout) {
    return 12 * layout.element_count();
}

}  // namespace holdfast::state
