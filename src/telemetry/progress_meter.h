// Progress of anything else that takes over two seconds: preparing data, verifying a checkpoint.
//
//   verify 1.20 GiB of 4.61 GiB 26% | 812 MiB/s | eta 4.3s
//
// Silent for the first two seconds, then like the progress line: live on a terminal, a plain line
// every five seconds elsewhere. One thread at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "telemetry/terminal.h"

namespace holdfast::telemetry {

enum class MeterUnit { kBytes, kItems };

class ProgressMeter {
public:
    // `total` 0: the end is not known. `item` names one of kItems in the plural ("documents").
    ProgressMeter(Screen screen,
                  std::string label,
                  std::uint64_t total,
                  MeterUnit unit,
                  double now_seconds,
                  std::string item = "");
    // Gives the live line back.
    ~ProgressMeter();
    ProgressMeter(const ProgressMeter&) = delete;
    ProgressMeter& operator=(const ProgressMeter&) = delete;

    // `done` so far, never less than before.
    void update(std::uint64_t done, double now_seconds);

    // The line as update() would draw it now.
    [[nodiscard]] std::string format(std::uint64_t done, double now_seconds) const;

private:
    Screen screen_;
    std::string label_;
    std::uint64_t total_;
    MeterUnit unit_;
    std::string item_;
    double start_seconds_;
    std::optional<double> last_drawn_seconds_;
};

}  // namespace holdfast::telemetry
