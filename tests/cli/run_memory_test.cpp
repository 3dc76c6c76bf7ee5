// The memory of whole runs, by what the system says the process has.
#include <cmath>
#include <csignal>
#include <cstdlib>
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

    // "memory  93.1 MiB planned", in MiB.
    static double planned_mib_of(const std::string& log) {
        const std::size_t at = log.find("\nmemory ");
        EXPECT_NE(at, std::string::npos) << log;
        double planned_mib = 0;
        EXPECT_EQ(std::sscanf(log.c_str() + at, "\nmemory %lf MiB planned", &planned_mib), 1)
            << log;
        return planned_mib;
    }

    Sizes sizes_of(const std::string& name, const std::vector<std::string>& options) {
        const auto lines = train_lines(name, options);
        return {planned_mib_of(outcome_.log),
                static_cast<double>(lines.back().memory_bytes.value()) / (1 << 20)};
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

// Ranks of a run, each by what the system says of its process.
class RankMemory : public RunMemory {
protected:
    struct RankSizes {
        double planned_mib = 0;         // by each
        std::vector<double> peak_mibs;  // of each
    };

    // The most that was resident, in MiB (VmHWM of proc(5)).
    static double peak_mib_of(pid_t pid) {
        const std::string status = read_text("/proc/" + std::to_string(pid) + "/status");
        const std::size_t at = status.find("VmHWM:");
        EXPECT_NE(at, std::string::npos) << status;
        return at == std::string::npos ? 0 : std::strtod(status.c_str() + at + 6, nullptr) / 1024;
    }

    // Of a run of `ranks` ranks after two saves, an evaluation and the steps behind them.
    RankSizes sizes_of_ranks(const std::string& name,
                             int ranks,
                             const std::vector<std::string>& model) {
        std::vector<std::string> options = model;
        options.insert(options.end(), {"--nproc-per-node", std::to_string(ranks), "--lanes", "8"});
        options.insert(options.end(), {"--threads", "1", "--micro-batch", "1"});
        options.insert(options.end(), {"--precision", GetParam(), "--warmup-steps", "1"});
        options.insert(options.end(), {"--eval-interval", "2", "--eval-tokens", "512"});
        options.insert(options.end(), {"--interval", "2", "--dropout", "0"});
        options.insert(options.end(), {"--max-steps", "1000000", "--set", "checkpoint.backup=off"});
        RunningProgram program(train_words(name, options), directory_.path());
        RankSizes sizes;
        EXPECT_TRUE(program.wait_for_step(metrics_path(name), 5));
        for (const pid_t rank : program.children()) {
            sizes.peak_mibs.push_back(peak_mib_of(rank));
        }
        program.send_signal(SIGTERM);
        const Outcome outcome = program.finish();
        EXPECT_EQ(outcome.exit_code, 143) << outcome.log;
        sizes.planned_mib = planned_mib_of(outcome.log);
        return sizes;
    }
};

// What libtorch, its groups and the program take for themselves is in both runs.
TEST_P(RankMemory, GrowsAsThePlanSaysOnEveryRank) {
    for (const int ranks : {2, 4}) {
        const RankSizes small =
            sizes_of_ranks("small" + std::to_string(ranks), ranks, {"--batch-tokens", "512"});
        const RankSizes large = sizes_of_ranks("large" + std::to_string(ranks),
                                               ranks,
                                               {"--n-layer",
                                                "6",
                                                "--n-head",
                                                "6",
                                                "--n-embd",
                                                "384",
                                                "--block-size",
                                                "256",
                                                "--batch-tokens",
                                                "2048"});
        const double planned_mib = large.planned_mib - small.planned_mib;
        EXPECT_GT(planned_mib, 200);
        ASSERT_EQ(large.peak_mibs.size(), static_cast<std::size_t>(ranks));
        ASSERT_EQ(small.peak_mibs.size(), large.peak_mibs.size());
        for (std::size_t rank = 0; rank < large.peak_mibs.size(); ++rank) {
            const double grown_mib = large.peak_mibs.at(rank) - small.peak_mibs.at(rank);
            EXPECT_LT(std::abs(grown_mib / planned_mib - 1), 0.15)
                << ranks << " ranks, rank " << rank << ": " << grown_mib << " MiB, planned "
                << planned_mib;
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Train,
                         RankMemory,
                         testing::Values("fp32", "bf16"),
                         [](const auto& precision) { return std::string(precision.param); });

INSTANTIATE_TEST_SUITE_P(Train,
                         RunMemory,
                         testing::Values("fp32", "bf16"),
                         [](const auto& precision) { return std::string(precision.param); });

}  // namespace
}  // namespace holdfast::cli
