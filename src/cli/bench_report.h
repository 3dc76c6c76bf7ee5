// What a bench measured, as a table for people and as JSON: times with their spread, rates, and
// ratios of two of them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace holdfast::cli {

class BenchReport {
public:
    // Adds a time to the measurement `key`; its label and the bytes that moved (0: no rate) are
    // those of the first call.
    void add(std::string_view key, std::string_view label, std::uint64_t bytes, double seconds);

    // What `key` takes for each second of `per`, round by round: both measured in the same rounds.
    // Nothing when one of them was not measured. `bar` is what it should not pass; 0: none.
    void add_ratio(std::string_view key, std::string_view per, double bar);

    // Rows in the order of the first add(): median, least and most, GB/s (10^9) of the median.
    [[nodiscard]] std::string table() const;
    // {"measurements": {key: {median_ms, min_ms, max_ms, gb_per_second}}, "ratios": {"a/b": ...}}
    void write_json(nlohmann::ordered_json& report) const;

private:
    struct Measurement {
        std::string key;
        std::string label;
        std::uint64_t bytes = 0;
        std::vector<double> seconds;
    };
    struct Ratio {
        std::string key;
        std::string label;
        double median = 0;
        double bar = 0;
    };
    [[nodiscard]] const Measurement* find(std::string_view key) const;

    std::vector<Measurement> measurements_;
    std::vector<Ratio> ratios_;
};

}  // namespace holdfast::cli
