#include "model/initialisation.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include <ATen/Parallel.h>

#include "base/checksum.h"
#include "base/philox.h"

namespace holdfast::model {

namespace {

constexpr double kDeviation = 0.02;
constexpr std::int64_t kPairsPerTask = 16384;

void fill_normal(std::span<float> values,
                 std::uint64_t key,
                 std::uint64_t name_hash,
                 double deviation) {
    const auto pair_count = static_cast<std::int64_t>((values.size() + 1) / 2);
    at::parallel_for(0, pair_count, kPairsPerTask, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t pair = begin; pair < end; ++pair) {
            const auto index = static_cast<std::uint64_t>(pair);
            const base::PhiloxBlock block =
                base::philox4x32({static_cast<std::uint32_t>(index),
                                  static_cast<std::uint32_t>(index >> 32U),
                                  static_cast<std::uint32_t>(name_hash),
                                  static_cast<std::uint32_t>(name_hash >> 32U)},
                                 key);
            const double u1 = (static_cast<double>(block[0]) + 1.0) * 0x1.0p-32;
            const double angle = 2.0 * std::numbers::pi * static_cast<double>(block[1]) * 0x1.0p-32;
            const double radius = deviation * std::sqrt(-2.0 * std::log(u1));
            values[2 * index] = static_cast<float>(radius * std::cos(angle));
            if (2 * index + 1 < values.size()) {
                values[2 * index + 1] = static_cast<float>(radius * std::sin(angle));
            }
        }
    });
}

}  // namespace

void initialise_tensor(std::string_view name,
                       const GptConfig& config,
                       std::uint64_t seed,
                       std::span<float> values) {
    if (name.ends_with(".bias")) {
        std::fill(values.begin(), values.end(), 0.0F);
        return;
    }
    if (name.find(".ln_") != std::string_view::npos) {
        std::fill(values.begin(), values.end(), 1.0F);
        return;
    }
    double deviation = kDeviation;
    if (name.ends_with(".c_proj.weight")) {
        deviation /= std::sqrt(2.0 * static_cast<double>(config.n_layer));
    }
    fill_normal(values,
                base::stream_key(seed, base::RandomStream::kInitialisation),
                base::checksum64(name),
                deviation);
}

}  // namespace holdfast::model
