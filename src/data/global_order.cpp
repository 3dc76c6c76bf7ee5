#include "data/global_order.h"

#include <bit>

#include "base/check.h"
#include "base/philox.h"

namespace holdfast::data {

namespace {

// Four rounds make a Feistel network pseudo-random on large domains; small ones need more.
constexpr std::uint32_t kRounds = 8;

std::uint32_t half_bits_for(std::int64_t count) {
    HF_CHECK(count >= 1 && count <= (std::int64_t{1} << 62U), "an order of {} windows", count);
    const auto bits =
        static_cast<std::uint32_t>(std::bit_width(static_cast<std::uint64_t>(count) - 1));
    return bits <= 2 ? 1 : (bits + 1) / 2;
}

}  // namespace

GlobalOrder::GlobalOrder(std::uint64_t seed, std::int64_t epoch, std::int64_t count)
    : key_(base::stream_key(seed, base::RandomStream::kDataOrder)),
      epoch_(epoch),
      count_(count),
      half_bits_(half_bits_for(count)) {
    HF_CHECK(epoch >= 0, "epoch {}", epoch);
}

std::uint64_t GlobalOrder::round_bits(std::uint64_t half, std::uint32_t round) const {
    const auto epoch = static_cast<std::uint64_t>(epoch_);
    const base::PhiloxBlock block = base::philox4x32({static_cast<std::uint32_t>(half),
                                                      round,
                                                      static_cast<std::uint32_t>(epoch),
                                                      static_cast<std::uint32_t>(epoch >> 32U)},
                                                     key_);
    return block[0] & ((std::uint64_t{1} << half_bits_) - 1);
}

std::uint64_t GlobalOrder::encrypt(std::uint64_t value) const {
    std::uint64_t left = value >> half_bits_;
    std::uint64_t right = value & ((std::uint64_t{1} << half_bits_) - 1);
    for (std::uint32_t round = 0; round < kRounds; ++round) {
        const std::uint64_t mixed = left ^ round_bits(right, round);
        left = right;
        right = mixed;
    }
    return left << half_bits_ | right;
}

std::uint64_t GlobalOrder::decrypt(std::uint64_t value) const {
    std::uint64_t left = value >> half_bits_;
    std::uint64_t right = value & ((std::uint64_t{1} << half_bits_) - 1);
    for (std::uint32_t round = kRounds; round-- > 0;) {
        const std::uint64_t mixed = right ^ round_bits(left, round);
        right = left;
        left = mixed;
    }
    return left << half_bits_ | right;
}

// Walking ends: the network is a permutation of its domain, so the cycle that starts inside
// [0, count) comes back to it.
std::int64_t GlobalOrder::window_at(std::int64_t sample) const {
    HF_CHECK(sample >= 0 && sample < count_, "sample {} of {}", sample, count_);
    const auto count = static_cast<std::uint64_t>(count_);
    auto value = static_cast<std::uint64_t>(sample);
    do {
        value = encrypt(value);
    } while (value >= count);
    return static_cast<std::int64_t>(value);
}

std::int64_t GlobalOrder::sample_of(std::int64_t window) const {
    HF_CHECK(window >= 0 && window < count_, "window {} of {}", window, count_);
    const auto count = static_cast<std::uint64_t>(count_);
    auto value = static_cast<std::uint64_t>(window);
    do {
        value = decrypt(value);
    } while (value >= count);
    return static_cast<std::int64_t>(value);
}

}  // namespace holdfast::data
