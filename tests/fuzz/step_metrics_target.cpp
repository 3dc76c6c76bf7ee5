// A line of metrics.jsonl: what parses prints to a line that parses and prints the same.
#include <limits>

#include "fuzz/fuzz_target.h"
#include "telemetry/step_metrics.h"

namespace holdfast::fuzz {

using telemetry::StepMetrics;

bool check_step_metrics(std::string_view input) {
    const auto metrics = telemetry::parse_step_metrics(input);
    if (!metrics.ok()) {
        require_one_line(metrics.error());
        return false;
    }
    const std::string line = telemetry::to_json_line(metrics.value());
    require(line.find('\n') == std::string::npos, "a line is one line");
    const auto again = telemetry::parse_step_metrics(line);
    require(again.ok(), "what is printed parses");
    require(telemetry::to_json_line(again.value()) == line, "what is printed parses to the same");
    require(again.value().val_losses.size() == metrics.value().val_losses.size(),
            "each validation loss is kept");
    for (const std::string& shorter : {telemetry::to_exact_json_line(metrics.value()),
                                       telemetry::to_manifest_json(metrics.value())}) {
        require(telemetry::parse_step_metrics(shorter).ok(), "the shorter forms parse");
    }
    require(metrics.value().step >= 0 && metrics.value().epoch >= 0 && metrics.value().tokens >= 0,
            "counts are not negative");
    return true;
}

std::vector<std::string> step_metrics_seeds() {
    StepMetrics plain;
    plain.step = 3;
    plain.loss = 3.25;
    StepMetrics full = plain;
    full.phase = "mid";
    full.epoch = 1;
    full.val_losses = {{"", 3.5}, {"wiki", std::numeric_limits<double>::infinity()}};
    full.learning_rate = 6e-4;
    full.grad_norm = std::numeric_limits<double>::quiet_NaN();
    full.tokens = 1'000'000;
    full.batch_hash = 0xFEEDFACECAFEBEEFULL;
    full.tokens_per_second = 1234.5;
    full.step_ms = 10.0;
    full.data_wait_ms = 0.0;
    full.save_stall_ms = -0.0;
    full.mfu = 0.5;
    full.memory_bytes = 1U << 30U;
    full.page_faults = 0;
    full.resumed_from = 2;
    full.events = {"refused", "spike"};
    return {telemetry::to_json_line(plain), telemetry::to_json_line(full) + '\n'};
}

}  // namespace holdfast::fuzz
