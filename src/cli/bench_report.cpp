#include "cli/bench_report.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace holdfast::cli {

namespace {

double median_of(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    const std::size_t middle = values.size() / 2;
    return values.size() % 2 == 1 ? values.at(middle)
                                  : (values.at(middle - 1) + values.at(middle)) / 2;
}

struct Spread {
    double median = 0;
    double least = 0;
    double most = 0;
};

Spread spread_of(const std::vector<double>& values) {
    const auto [least, most] = std::minmax_element(values.begin(), values.end());
    return {median_of(values), *least, *most};
}

double gigabytes_per_second(std::uint64_t bytes, double seconds) {
    return seconds > 0 ? static_cast<double>(bytes) / 1e9 / seconds : 0.0;
}

}  // namespace

const BenchReport::Measurement* BenchReport::find(std::string_view key) const {
    const auto found = std::find_if(measurements_.begin(),
                                    measurements_.end(),
                                    [&](const Measurement& it) { return it.key == key; });
    return found == measurements_.end() ? nullptr : &*found;
}

void BenchReport::add(std::string_view key,
                      std::string_view label,
                      std::uint64_t bytes,
                      double seconds) {
    for (Measurement& measurement : measurements_) {
        if (measurement.key == key) {
            measurement.seconds.push_back(seconds);
            return;
        }
    }
    measurements_.push_back({std::string(key), std::string(label), bytes, {seconds}});
}

void BenchReport::add_ratio(std::string_view key, std::string_view per, double bar) {
    const Measurement* one = find(key);
    const Measurement* other = find(per);
    if (one == nullptr || other == nullptr) {
        return;
    }
    std::vector<double> ratios;
    for (std::size_t i = 0; i < std::min(one->seconds.size(), other->seconds.size()); ++i) {
        ratios.push_back(one->seconds[i] / other->seconds[i]);
    }
    ratios_.push_back({fmt::format("{}/{}", key, per),
                       fmt::format("{} / {}", one->label, other->label),
                       median_of(ratios),
                       bar});
}

std::string BenchReport::table() const {
    std::string text = fmt::format(
        "  {:<44} {:>10} {:>10} {:>10} {:>8}\n", "ms", "median", "least", "most", "GB/s");
    for (const Measurement& it : measurements_) {
        const Spread spread = spread_of(it.seconds);
        text += fmt::format(
            "  {:<44} {:>10.1f} {:>10.1f} {:>10.1f} {:>8}\n",
            it.label,
            spread.median * 1e3,
            spread.least * 1e3,
            spread.most * 1e3,
            it.bytes == 0 ? "-"
                          : fmt::format("{:.2f}", gigabytes_per_second(it.bytes, spread.median)));
    }
    if (!ratios_.empty()) {
        text += "\n  ratios, median of the rounds\n";
    }
    for (const Ratio& ratio : ratios_) {
        text += fmt::format("  {:<76} {:>6.2f}{}\n",
                            ratio.label,
                            ratio.median,
                            ratio.bar > 0 ? fmt::format("  (bar: {:.1f})", ratio.bar) : "");
    }
    return text;
}

void BenchReport::write_json(nlohmann::ordered_json& report) const {
    for (const Measurement& it : measurements_) {
        const Spread spread = spread_of(it.seconds);
        nlohmann::ordered_json& entry = report["measurements"][it.key];
        entry["median_ms"] = spread.median * 1e3;
        entry["min_ms"] = spread.least * 1e3;
        entry["max_ms"] = spread.most * 1e3;
        entry["gb_per_second"] =
            it.bytes == 0 ? nlohmann::ordered_json()
                          : nlohmann::ordered_json(gigabytes_per_second(it.bytes, spread.median));
    }
    report["ratios"] = nlohmann::ordered_json::object();
    for (const Ratio& ratio : ratios_) {
        report["ratios"][ratio.key] = ratio.median;
    }
}

}  // namespace holdfast::cli
