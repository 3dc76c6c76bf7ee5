// What the tests of this room share: reproducible arenas and bitwise comparison.
#pragma once

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/scalar_tensor.h>
#include <gtest/gtest.h>

#include "base/philox.h"
#include "optim/clip.h"

namespace holdfast::optim {

// fp32 [count] in (-scale, scale), a function of the key alone.
inline at::Tensor arena_of(std::int64_t count, std::uint64_t key, float scale = 1.0F) {
    at::Tensor arena = at::empty({count}, at::kFloat);
    auto* values = arena.mutable_data_ptr<float>();
    for (std::int64_t i = 0; i < count; ++i) {
        const auto block = base::philox4x32({static_cast<std::uint32_t>(i), 0, 0, 0}, key);
        values[i] = (base::uniform_float(block[0]) * 2.0F - 1.0F) * scale;
    }
    return arena;
}

inline bool same_bits(const at::Tensor& left, const at::Tensor& right) {
    return left.scalar_type() == right.scalar_type() && left.numel() == right.numel() &&
           std::memcmp(left.const_data_ptr(), right.const_data_ptr(), left.nbytes()) == 0;
}

// A good step that clips nothing.
inline ClipOutcome no_clip() {
    return {at::scalar_tensor(0.5, at::kDouble),
            at::scalar_tensor(1.0F, at::kFloat),
            at::scalar_tensor(0.0F, at::kFloat)};
}
inline ClipOutcome bad_step() {
    return {at::scalar_tensor(0.5, at::kDouble),
            at::scalar_tensor(1.0F, at::kFloat),
            at::scalar_tensor(1.0F, at::kFloat)};
}

// Sets torch's thread count for a scope.
class WithThreads {
public:
    explicit WithThreads(int threads) : before_(at::get_num_threads()) {
        at::set_num_threads(threads);
    }
    ~WithThreads() { at::set_num_threads(before_); }
    WithThreads(const WithThreads&) = delete;
    WithThreads& operator=(const WithThreads&) = delete;
    WithThreads(WithThreads&&) = delete;
    WithThreads& operator=(WithThreads&&) = delete;

private:
    int before_;
};

inline std::string backend_name(const testing::TestParamInfo<Backend>& backend) {
    return backend.param == Backend::kNative ? "native" : "aten";
}

}  // namespace holdfast::optim
