// P2: a run stopped any number of times ends with the bits of a run never stopped.
#include <ostream>

#include <signal.h>

#include <gtest/gtest.h>

#include "cli/small_run.h"

namespace holdfast::cli {
namespace {

struct Variant {
    const char* name;
    std::vector<std::string> options;
};

void PrintTo(const Variant& variant, std::ostream* out) {
    *out << variant.name;
}

class ExactResume : public SmallRun, public testing::WithParamInterface<Variant> {
protected:
    // Starts the run, sends `number` once step `step` is logged, and returns the exit code.
    int stop_at(std::int64_t step, int number) {
        RunningProgram program(train_words("stopped", GetParam().options), directory_.path());
        EXPECT_TRUE(program.wait_for_step(metrics_path("stopped"), step));
        program.send_signal(number);
        return program.finish().exit_code;
    }
};

TEST_P(ExactResume, P2_StoppedRunEndsWithTheBitsOfARunNeverStopped) {
    const Outcome straight = train("straight", GetParam().options);
    ASSERT_EQ(straight.exit_code, 0) << straight.log;
    ASSERT_EQ(exact_lines("straight").size(), 60U);

    EXPECT_EQ(stop_at(11, SIGTERM), 143);
    EXPECT_EQ(stop_at(27, SIGKILL), 128 + SIGKILL);
    EXPECT_EQ(stop_at(33, SIGHUP), 75);
    EXPECT_EQ(stop_at(46, SIGINT), 130);
    std::vector<std::string> options = GetParam().options;
    options.insert(options.end(), {"--resume", "latest"});
    const Outcome last = train("stopped", options);
    ASSERT_EQ(last.exit_code, 0) << last.log;

    EXPECT_EQ(exact_lines("stopped"), exact_lines("straight"));
    EXPECT_EQ(hash_of("stopped"), hash_of("straight"));
}

INSTANTIATE_TEST_SUITE_P(
    Train,
    ExactResume,
    testing::Values(Variant{"Fp32", {"--precision", "fp32"}},
                    Variant{"Bf16", {"--precision", "bf16"}},
                    Variant{"ThreeLanes", {"--lanes", "3", "--precision", "fp32"}},
                    Variant{"RecomputeBlock", {"--recompute", "block", "--precision", "bf16"}}),
    [](const auto& variant) { return variant.param.name; });

}  // namespace
}  // namespace holdfast::cli
