// Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC11):
// randomness as a function. A 128-bit counter and a 64-bit key give 128 random bits; there is no
// history, so a draw depends on where it is used and never on what was drawn before. Every stream
// of the program comes from here.
#pragma once

#include <array>
#include <cstdint>

namespace holdfast::base {

using PhiloxBlock = std::array<std::uint32_t, 4>;

// Ten rounds on `counter` under `key`.
constexpr PhiloxBlock philox4x32(PhiloxBlock counter, std::uint64_t key) {
    auto key_low = static_cast<std::uint32_t>(key);
    auto key_high = static_cast<std::uint32_t>(key >> 32U);
    for (int round = 0; round < 10; ++round) {
        const std::uint64_t product_0 = std::uint64_t{0xD2511F53} * counter[0];
        const std::uint64_t product_1 = std::uint64_t{0xCD9E8D57} * counter[2];
        counter = {static_cast<std::uint32_t>(product_1 >> 32U) ^ counter[1] ^ key_low,
                   static_cast<std::uint32_t>(product_1),
                   static_cast<std::uint32_t>(product_0 >> 32U) ^ counter[3] ^ key_high,
                   static_cast<std::uint32_t>(product_0)};
        key_low += 0x9E3779B9;
        key_high += 0xBB67AE85;
    }
    return counter;
}

// The streams, so that no two uses of one seed meet. The number is part of the format of a run:
// never renumber.
enum class RandomStream : std::uint32_t {
    kInitialisation = 1,
    kDataOrder = 2,
    kDropout = 3,
    kSampling = 4,
};

// The key of a stream under a run's seed.
constexpr std::uint64_t stream_key(std::uint64_t seed, RandomStream stream) {
    const PhiloxBlock mixed = philox4x32({static_cast<std::uint32_t>(stream), 0, 0, 0}, seed);
    return std::uint64_t{mixed[1]} << 32U | mixed[0];
}

// One value that names a stream's generator: stored in a checkpoint, computed again at resume, and
// compared.
constexpr std::uint64_t probe_value(std::uint64_t seed, RandomStream stream) {
    const PhiloxBlock block = philox4x32({0x50524F42, 0x45202020, 0, 0}, stream_key(seed, stream));
    return std::uint64_t{block[1]} << 32U | block[0];
}

// Uniform in [0, 1) with 24 bits, the precision of a float.
constexpr float uniform_float(std::uint32_t bits) {
    return static_cast<float>(bits >> 8U) * 0x1.0p-24F;
}

}  // namespace holdfast::base
