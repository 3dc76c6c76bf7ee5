#include "telemetry/flops.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string>

namespace holdfast::telemetry {

namespace {

struct KnownDevice {
    std::string_view name;  // as short_name() makes it
    double peak_flops;
};

// A GeForce streaming multiprocessor does 256 bf16 multiply-adds with fp32 accumulation a clock, in
// GA10x, AD10x and GB20x alike (appendices of NVIDIA's GA102, Ada and RTX Blackwell architecture
// whitepapers: 3090 71, 4090 165.2, 5090 209.5 TFLOPS dense). At the boost clock of the data sheet.
constexpr double geforce(int multiprocessors, int boost_mhz) {
    return 512.0 * multiprocessors * boost_mhz * 1e6;
}

constexpr std::array kKnownDevices = {
    // Data sheets of the products; where only the figure with sparsity is printed, half of it.
    KnownDevice{"A100", 312e12},
    KnownDevice{"A100 PCIE", 312e12},
    KnownDevice{"A800", 312e12},
    KnownDevice{"A30", 165e12},
    KnownDevice{"A40", 149.7e12},
    KnownDevice{"A10", 125e12},
    KnownDevice{"H100", 989.4e12},
    KnownDevice{"H100 PCIE", 756e12},
    KnownDevice{"H100 NVL", 835.5e12},
    KnownDevice{"H800", 989.4e12},
    KnownDevice{"H200", 989.4e12},
    KnownDevice{"H200 NVL", 835.5e12},
    KnownDevice{"GH200", 989.4e12},
    KnownDevice{"B200", 2250e12},
    KnownDevice{"L4", 121e12},
    KnownDevice{"L40", 181e12},
    KnownDevice{"L40S", 362e12},
    KnownDevice{"RTX A6000", 154.8e12},
    KnownDevice{"RTX 6000 ADA GENERATION", 364.2e12},
    // Multiprocessors and boost clocks as NVIDIA's product pages give them.
    KnownDevice{"RTX 3060", geforce(28, 1777)},
    KnownDevice{"RTX 3060 TI", geforce(38, 1665)},
    KnownDevice{"RTX 3070", geforce(46, 1725)},
    KnownDevice{"RTX 3090", geforce(82, 1695)},
    KnownDevice{"RTX 3090 TI", geforce(84, 1860)},
    KnownDevice{"RTX 4060", geforce(24, 2460)},
    KnownDevice{"RTX 4060 TI", geforce(34, 2535)},
    KnownDevice{"RTX 4070", geforce(46, 2475)},
    KnownDevice{"RTX 4070 SUPER", geforce(56, 2475)},
    KnownDevice{"RTX 4070 TI", geforce(60, 2610)},
    KnownDevice{"RTX 4070 TI SUPER", geforce(66, 2610)},
    KnownDevice{"RTX 4080", geforce(76, 2505)},
    KnownDevice{"RTX 4080 SUPER", geforce(80, 2550)},
    KnownDevice{"RTX 4090", geforce(128, 2520)},
    KnownDevice{"RTX 5060", geforce(30, 2497)},
    KnownDevice{"RTX 5060 TI", geforce(36, 2572)},
    KnownDevice{"RTX 5070", geforce(48, 2512)},
    KnownDevice{"RTX 5070 TI", geforce(70, 2452)},
    KnownDevice{"RTX 5080", geforce(84, 2617)},
    KnownDevice{"RTX 5090", geforce(170, 2407)},
    // Laptops: the clock depends on the power the maker allows; the highest is taken, so the part
    // in
    // use is never flattered.
    KnownDevice{"RTX 4050 LAPTOP", geforce(20, 2370)},
    KnownDevice{"RTX 4060 LAPTOP", geforce(24, 2370)},
    KnownDevice{"RTX 4070 LAPTOP", geforce(36, 2175)},
    KnownDevice{"RTX 4080 LAPTOP", geforce(58, 2280)},
    KnownDevice{"RTX 4090 LAPTOP", geforce(76, 2040)},
};

bool is_memory_size(std::string_view word) {
    return word.size() > 2 && word.ends_with("GB") &&
           std::all_of(
               word.begin(), word.end() - 2, [](unsigned char c) { return std::isdigit(c) != 0; });
}

// What does not change the speed: the maker, the socket, the memory. The rest must match to the
// last word, since "RTX 4060 Ti" is not "RTX 4060".
bool is_noise(std::string_view word) {
    static constexpr std::array<std::string_view, 9> kNoise = {
        "NVIDIA", "GEFORCE", "GPU", "SXM", "SXM4", "SXM5", "HBM2E", "HBM3", "HBM3E"};
    return std::find(kNoise.begin(), kNoise.end(), word) != kNoise.end() || is_memory_size(word);
}

// "NVIDIA A100-SXM4-80GB" as "A100".
std::string short_name(std::string_view device_name) {
    std::string result;
    std::string word;
    const auto finish_word = [&result, &word] {
        if (!word.empty() && !is_noise(word)) {
            result += result.empty() ? "" : " ";
            result += word;
        }
        word.clear();
    };
    for (const char c : device_name) {
        if (c == ' ' || c == '-') {
            finish_word();
        } else {
            word += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
        }
    }
    finish_word();
    return result;
}

}  // namespace

double flops_per_token(std::int64_t parameter_count,
                       std::int64_t n_layer,
                       std::int64_t n_embd,
                       std::int64_t sequence_tokens) {
    return 6.0 * static_cast<double>(parameter_count) + 12.0 * static_cast<double>(n_layer) *
                                                            static_cast<double>(n_embd) *
                                                            static_cast<double>(sequence_tokens);
}

std::optional<double> device_peak_flops(std::string_view device_name) {
    const std::string name = short_name(device_name);
    for (const KnownDevice& device : kKnownDevices) {
        if (device.name == name) {
            return device.peak_flops;
        }
    }
    return std::nullopt;
}

double model_flops_utilisation(double flops_each_token,
                               double tokens_per_second,
                               double peak_flops,
                               std::int64_t device_count) {
    return flops_each_token * tokens_per_second / (peak_flops * static_cast<double>(device_count));
}

}  // namespace holdfast::telemetry
