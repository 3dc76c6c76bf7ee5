// Sixteen fp32 lanes, and how fp32 and bf16 memory becomes lanes and back.
//
// Written with the compiler's vector types instead of loops it may or may not vectorise: a full
// vector and the rest at the end of a row go through the same operations, so an element's bits do
// not depend on where a stretch begins. Everything is inlined into loops that are compiled for
// several instruction sets ([[gnu::target_clones]] where they are defined); which of them runs is a
// property of the machine. bf16 is rounded to nearest even. For loop files only: others would pass
// such vectors by value where the calling convention has no registers for them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/bf16_bits.h"

namespace holdfast::kernels {

inline constexpr std::int64_t kLanes = 16;

using Floats = float __attribute__((vector_size(64)));
using Words = std::uint32_t __attribute__((vector_size(64)));
using LongWords = std::uint64_t __attribute__((vector_size(64)));
using Halves = std::uint16_t __attribute__((vector_size(32)));

[[gnu::always_inline]] inline Floats broadcast(float value) {
    return Floats{} + value;
}

[[gnu::always_inline]] inline Words bits_of(Floats values) {
    Words bits;
    std::memcpy(&bits, &values, sizeof(bits));
    return bits;
}

[[gnu::always_inline]] inline Floats floats_of(Words bits) {
    Floats values;
    std::memcpy(&values, &bits, sizeof(values));
    return values;
}

[[gnu::always_inline]] inline Floats widen(Halves halves) {
    return floats_of(__builtin_convertvector(halves, Words) << 16U);
}

[[gnu::always_inline]] inline Halves round_to_bf16(Floats values) {
    const Words bits = bits_of(values);
    const Words rounded = (bits + 0x7FFFU + ((bits >> 16U) & 1U)) >> 16U;
    const Words quiet = Words{} + 0x7FC0U;
    const Words result = (bits & 0x7FFFFFFFU) > 0x7F800000U ? quiet : rounded;
    return __builtin_convertvector(result, Halves);
}

[[gnu::always_inline]] inline Floats load(const float* from) {
    Floats values;
    std::memcpy(&values, from, sizeof(values));
    return values;
}

[[gnu::always_inline]] inline Floats load(const Bf16Bits* from) {
    Halves halves;
    std::memcpy(&halves, from, sizeof(halves));
    return widen(halves);
}

[[gnu::always_inline]] inline void store(float* to, Floats values) {
    std::memcpy(to, &values, sizeof(values));
}

[[gnu::always_inline]] inline void store(Bf16Bits* to, Floats values) {
    const Halves halves = round_to_bf16(values);
    std::memcpy(to, &halves, sizeof(halves));
}

// The first `count` (1 to 15) lanes; the others read `rest` and are not written.
template <typename T>
[[gnu::always_inline]] inline Floats load_first(const T* from, std::int64_t count, float rest) {
    T buffer[kLanes];
    store(buffer, broadcast(rest));
    std::memcpy(buffer, from, static_cast<std::size_t>(count) * sizeof(T));
    return load(buffer);
}

template <typename T>
[[gnu::always_inline]] inline void store_first(T* to, std::int64_t count, Floats values) {
    T buffer[kLanes];
    store(buffer, values);
    std::memcpy(to, buffer, static_cast<std::size_t>(count) * sizeof(T));
}

// Lanes added pairwise, always in the same order.
[[gnu::always_inline]] inline float sum_of(Floats values) {
    float lanes[kLanes];
    store(lanes, values);
    for (std::int64_t half = kLanes / 2; half > 0; half /= 2) {
        for (std::int64_t i = 0; i < half; ++i) {
            lanes[i] += lanes[i + half];
        }
    }
    return lanes[0];
}

// NaN lanes are passed over.
[[gnu::always_inline]] inline float largest_of(Floats values) {
    float lanes[kLanes];
    store(lanes, values);
    float largest = lanes[0];
    for (const float lane : lanes) {
        largest = lane > largest ? lane : largest;
    }
    return largest;
}

// Calls body(begin, Whole) for each full vector of [0, count), then once body(begin, Rest{n}) for
// what is left; body's loads and stores take that second argument.
struct Whole {};
struct Rest {
    std::int64_t count;
};

template <typename T>
[[gnu::always_inline]] inline Floats load(const T* from, Whole /*extent*/, float /*rest*/ = 0.0F) {
    return load(from);
}
template <typename T>
[[gnu::always_inline]] inline Floats load(const T* from, Rest extent, float rest = 0.0F) {
    return load_first(from, extent.count, rest);
}
template <typename T>
[[gnu::always_inline]] inline void store(T* to, Whole /*extent*/, Floats values) {
    store(to, values);
}
template <typename T>
[[gnu::always_inline]] inline void store(T* to, Rest extent, Floats values) {
    store_first(to, extent.count, values);
}

template <typename Body>
[[gnu::always_inline]] inline void for_lanes(std::int64_t count, Body body) {
    std::int64_t i = 0;
    for (; i + kLanes <= count; i += kLanes) {
        body(i, Whole{});
    }
    if (i < count) {
        body(i, Rest{count - i});
    }
}

}  // namespace holdfast::kernels
