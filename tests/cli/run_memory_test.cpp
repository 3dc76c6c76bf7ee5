// The memory of whole runs, by what the system says the process has.
#include <cmath>
#include <ostream>

#include <gtest/gtest.h>

#include "cli/small_run.h"
#include "telemetry/step_metrics.h"

namespace holdfast::cli {
namespace {

class RunMemory : public SmallRun, public testing::WithParamInterface<const char*> {
protected:
    struct Sizes {
        double planned_mib = 0;
        double peak_mib = 0;
    };

    std::vector<telemetry::StepMetrics> train_lines(const std::string& name,
                                                    std::vector<std::string> options) {
        options.insert(options.end(),
                       {"--precision", GetParam(), "--warmup-steps", "1", "--eval-interval", "2"});
        options.insert(options.end(), {"--interval", "2", "--dropout", "0"});
        outcome_ = train(name, options);
        EXPECT_EQ(outcome_.exit_code, 0) << outcome_.log;
        std::vector<telemetry::StepMetrics> lines;
        for (const std::string& line : lines_of(read_text(metrics_path(name)))) {
            lines.push_back(telemetry::parse_step_metrics(line).value());
        }
        return lines;
    }

    Sizes sizes_of(const std::string& name, const std::vector<std::string>& options) {
        const auto lines = train_lines(name, options);
        const std::size_t at = outcome_.log.find("\nmemory ");
        EXPECT_NE(at, std::string::npos) << outcome_.log;
        double planned_mib = 0;
        EXPECT_EQ(std::sscanf(outcome_.log.c_str() + at, "\nmemory %lf MiB planned", &planned_mib),
                  1)
            << outcome_.log;
        return {planned_mib, static_cast<double>(lines.back().memory_bytes.value()) / (1 << 20)};
    }

    Outcome outcome_;
};

// What libtorch and the program take for themselves is in both runs.
TEST_P(RunMemory, GrowsAsThePlanSays) {
    const Sizes small = sizes_of("small", {"--max-steps", "3"});
    const Sizes large = sizes_of("large",
                                 {"--max-steps",
                                  "3",
                                  "--n-layer",
                                  "6",
                                  "--n-head",
                                  "6",
                                  "--n-embd",
                                  "384",
                                  "--block-size",
                                  "256",
                                  "--micro-batch",
                                  "8",
                                  "--batch-tokens",
                                  "2048"});
    const double planned_mib = large.planned_mib - small.planned_mib;
    const double grown_mib = large.peak_mib - small.peak_mib;
    EXPECT_GT(planned_mib, 400);
    EXPECT_LT(std::abs(grown_mib / planned_mib - 1), 0.1)
        << grown_mib << " MiB, planned " << planned_mib;
}

TEST_P(RunMemory, NoneIsNewAfterTheFirstStepsEvaluationsAndSaves) {
    const auto lines = train_lines("run", {"--max-steps", "16"});
    ASSERT_EQ(lines.size(), 16U);
    // By step 5 two evaluations and two saves are done, or on their way.
    constexpr std::size_t kSettled = 5;
    // The saver's lists and texts take a page now and then; any tensor would take hundreds.
    constexpr std::int64_t kFewPages = 64;
    for (std::size_t i = kSettled; i < lines.size(); ++i) {
        EXPECT_LE(lines[i].page_faults.value(), kFewPages) << "step " << lines[i].step;
    }
    EXPECT_LE(lines.back().memory_bytes.value(),
              lines[kSettled - 1].memory_bytes.value() + 4096 * kFewPages);
}

INSTANTIATE_TEST_SUITE_P(Train,
                         RunMemory,
                         testing::Values("fp32", "bf16"),
                         [](const auto& precision) { return std::string(precision.param); });

}  // namespace
}  // namespace holdfast::cli
