#include "kernels/gelu_loops.h"

#include "kernels/vector_math.h"

namespace holdfast::kernels {
namespace {

constexpr float kTwoU = 1.5957691216F;  // 2 sqrt(2 / pi)
constexpr float kCube = 0.044715F;

template <typename T>
[[gnu::always_inline]] inline void forward(const T* x, T* out, std::int64_t count) {
    for_lanes(
        count, [=](std::int64_t i, auto extent) __attribute__((always_inline)) {
            const Floats value = load(x + i, extent);
            const Floats two_u = value * (kTwoU + (kTwoU * kCube) * (value * value));
            store(out + i, extent, value * vector_logistic(two_u).value);
        });
}

template <typename T>
[[gnu::always_inline]] inline void backward(const T* x, T* dout, std::int64_t count) {
    for_lanes(
        count, [=](std::int64_t i, auto extent) __attribute__((always_inline)) {
            const Floats value = load(x + i, extent);
            const Floats square = value * value;
            const Floats two_u = value * (kTwoU + (kTwoU * kCube) * square);
            const Floats slope = kTwoU + (3.0F * kTwoU * kCube) * square;
            const Logistic logistic = vector_logistic(two_u);
            const Floats derivative =
                logistic.value + (value * slope) * (logistic.value * logistic.rest);
            store(dout + i, extent, load(dout + i, extent) * derivative);
        });
}

}  // namespace

[[gnu::target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")]] void gelu_forward_loop(
    const float* x, float* out, std::int64_t count) {
    forward(x, out, count);
}

[[gnu::target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")]] void gelu_forward_loop(
    const Bf16Bits* x, Bf16Bits* out, std::int64_t count) {
    forward(x, out, count);
}

[[gnu::target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")]] void gelu_backward_loop(
    const float* x, float* dout, std::int64_t count) {
    backward(x, dout, count);
}

[[gnu::target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")]] void gelu_backward_loop(
    const Bf16Bits* x, Bf16Bits* dout, std::int64_t count) {
    backward(x, dout, count);
}

}  // namespace holdfast::kernels
