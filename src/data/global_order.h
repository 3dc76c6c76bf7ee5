// The order of one epoch: a seeded permutation of [0, count) that is computed, never stored.
//
// A balanced Feistel network (Luby and Rackoff, 1988) over the smallest 4^h >= count, whose round
// function is Philox under the data-order stream of the seed, made a permutation of [0, count) by
// cycle walking (Black and Rogaway: "Ciphers with arbitrary finite domains", 2002). The exact
// formula is in docs/data-format.md; it is part of what a run is and never changes.
//
// A value, const, safe for any thread. A call costs 8 Philox blocks a walk, fewer than 4 walks on
// average.
#pragma once

#include <cstdint>

namespace holdfast::data {

class GlobalOrder {
public:
    // count in [1, 2^62].
    GlobalOrder(std::uint64_t seed, std::int64_t epoch, std::int64_t count);

    [[nodiscard]] std::int64_t count() const { return count_; }
    // The window that is number `sample` of the epoch; sample in [0, count).
    [[nodiscard]] std::int64_t window_at(std::int64_t sample) const;
    // The inverse: when the epoch comes to `window`.
    [[nodiscard]] std::int64_t sample_of(std::int64_t window) const;

private:
    [[nodiscard]] std::uint64_t round_bits(std::uint64_t half, std::uint32_t round) const;
    [[nodiscard]] std::uint64_t encrypt(std::uint64_t value) const;
    [[nodiscard]] std::uint64_t decrypt(std::uint64_t value) const;

    std::uint64_t key_;
    std::int64_t epoch_;
    std::int64_t count_;
    std::uint32_t half_bits_;  // h
};

}  // namespace holdfast::data
