#include "telemetry/progress_line.h"

#include <gtest/gtest.h>

#include "telemetry/progress_meter.h"

namespace holdfast::telemetry {
namespace {

StepMetrics step_1234() {
    StepMetrics metrics;
    metrics.step = 1234;
    metrics.loss = 3.9123;
    metrics.grad_norm = 0.41;
    metrics.learning_rate = 5.8e-4;
    metrics.step_ms = 512.3;
    metrics.tokens_per_second = 18900;
    return metrics;
}

// Records what a screen was given.
struct FakeScreen {
    bool is_terminal = false;
    int columns = 200;
    std::vector<std::string> live{};
    std::vector<std::string> plain{};

    Screen screen() {
        return {.is_terminal = is_terminal,
                .columns = [this] { return columns; },
                .live = [this](std::string_view text) { live.emplace_back(text); },
                .plain = [this](std::string_view text) { plain.emplace_back(text); }};
    }
};

TEST(ProgressLine, ReadsAsTheContractShows) {
    const StepMetrics metrics = step_1234();
    const ProgressView view{
        .metrics = &metrics, .steps_total = 18865, .val_loss = 3.98, .eta_seconds = 18180};
    EXPECT_EQ(format_progress(view, 200),
              "step 1234/18865 6.5% | loss 3.912 | val 3.98 | norm 0.41 | lr 5.8e-04 | 512 ms | "
              "18.9k tok/s | eta 5h03m");
}

TEST(ProgressLine, FitsEveryWidthAndDropsTheLeastFirst) {
    const StepMetrics metrics = step_1234();
    const ProgressView view{
        .metrics = &metrics, .steps_total = 18865, .val_loss = 3.98, .eta_seconds = 18180};
    for (int columns = 1; columns < 130; ++columns) {
        EXPECT_LE(format_progress(view, columns).size(), static_cast<std::size_t>(columns));
    }
    EXPECT_EQ(format_progress(view, 60),
              "step 1234/18865 6.5% | loss 3.912 | val 3.98 | eta 5h03m");
    EXPECT_EQ(format_progress(view, 10), "step 1234/");
}

TEST(ProgressLine, WithoutAKnownEndShowsNeitherPercentNorEta) {
    FakeScreen fake;
    ProgressLine line(fake.screen(), 0);
    line.update(step_1234(), 0);
    line.update(step_1234(), 10);
    EXPECT_EQ(fake.plain.back(),
              "step 1234 | loss 3.912 | norm 0.41 | lr 5.8e-04 | 512 ms | 18.9k tok/s");
}

TEST(ProgressLine, ATerminalHasOneLiveLineDrawnAtMostTenTimesASecond) {
    FakeScreen fake{.is_terminal = true};
    ProgressLine line(fake.screen(), 100);
    for (int i = 0; i < 1000; ++i) {
        StepMetrics metrics = step_1234();
        metrics.step = i;
        line.update(metrics, 0.001 * i);
    }
    EXPECT_TRUE(fake.plain.empty());
    EXPECT_LE(fake.live.size(), 10U);
    EXPECT_GE(fake.live.size(), 9U);
}

TEST(ProgressLine, TheLiveLineNeverReachesTheEdge) {
    FakeScreen fake{.is_terminal = true, .columns = 50};
    ProgressLine line(fake.screen(), 18865);
    line.update(step_1234(), 0);
    line.set_activity("evaluating 12/40", 1);
    for (const std::string& text : fake.live) {
        EXPECT_LT(text.size(), 50U) << text;
    }
    EXPECT_TRUE(fake.live.back().ends_with(" | evaluating 12/40")) << fake.live.back();
}

TEST(ProgressLine, ElsewherePlainLinesComeEveryFiveSecondsAndAtEvaluations) {
    FakeScreen fake;
    ProgressLine line(fake.screen(), 100);
    for (int i = 0; i <= 12; ++i) {
        StepMetrics metrics = step_1234();
        metrics.step = i;
        if (i == 7) {
            metrics.val_losses = {{"", 3.5}};
        }
        line.update(metrics, i);
    }
    ASSERT_EQ(fake.plain.size(), 4U);  // at 0, 5, the evaluation at 7, and 12
    EXPECT_NE(fake.plain[2].find("val 3.50"), std::string::npos) << fake.plain[2];
    EXPECT_NE(fake.plain[3].find("val 3.50"), std::string::npos) << "the last value is remembered";
    EXPECT_TRUE(fake.live.empty());
}

TEST(ProgressLine, FinishLeavesTheLastStepToRead) {
    FakeScreen fake{.is_terminal = true};
    ProgressLine line(fake.screen(), 1234);
    line.update(step_1234(), 0);
    line.finish();
    EXPECT_EQ(fake.live.back(), "");
    ASSERT_EQ(fake.plain.size(), 1U);
    EXPECT_TRUE(fake.plain[0].starts_with("step 1234/1234 100.0% | loss 3.912")) << fake.plain[0];
}

TEST(ProgressLine, FinishDoesNotRepeatALineThatStands) {
    for (const bool is_terminal : {false, true}) {
        FakeScreen fake{.is_terminal = is_terminal};
        ProgressLine line(fake.screen(), 1234);
        telemetry::StepMetrics last = step_1234();
        last.val_losses = {{"", 3.5}};
        line.update(last, 0);
        line.finish();
        EXPECT_EQ(fake.plain.size(), 1U);
        EXPECT_EQ(fake.plain[0].find("eta"), std::string::npos) << fake.plain[0];
    }
}

TEST(StepPace, FirstTheMedianThenTheMeanWithItsPauses) {
    StepPace pace;
    EXPECT_FALSE(pace.seconds_per_step());
    pace.add(60);
    for (int i = 0; i < 10; ++i) {
        pace.add(1);
    }
    EXPECT_EQ(pace.seconds_per_step(), 1.0);
    for (int i = 0; i < 512; ++i) {
        pace.add(i % 2 == 0 ? 1.0 : 3.0);
    }
    EXPECT_EQ(pace.seconds_per_step(), 2.0);
}

TEST(ProgressLine, EtaIsThePaceTimesWhatIsLeft) {
    FakeScreen fake;
    ProgressLine line(fake.screen(), 100);
    for (int i = 1; i <= 40; ++i) {
        StepMetrics metrics = step_1234();
        metrics.step = i;
        line.update(metrics, 2.0 * i);
    }
    EXPECT_DOUBLE_EQ(line.eta_seconds().value_or(0), 120.0);
}

TEST(ProgressMeter, TellsAmountRateAndRest) {
    FakeScreen fake;
    const ProgressMeter bytes(fake.screen(), "verify", 4U << 20U, MeterUnit::kBytes, 0);
    EXPECT_EQ(bytes.format(1U << 20U, 2), "verify 1.00 MiB of 4.00 MiB 25% | 512 KiB/s | eta 6.0s");
    const ProgressMeter items(fake.screen(), "prepare", 0, MeterUnit::kItems, 0, "documents");
    EXPECT_EQ(items.format(3000, 2), "prepare 3.00k documents | 1.50k/s");
}

TEST(ProgressMeter, IsSilentForTwoSecondsAndGivesTheLineBack) {
    FakeScreen fake{.is_terminal = true};
    {
        ProgressMeter meter(fake.screen(), "verify", 100, MeterUnit::kBytes, 0);
        meter.update(10, 1.9);
        EXPECT_TRUE(fake.live.empty());
        meter.update(20, 2.0);
        meter.update(21, 2.05);
        EXPECT_EQ(fake.live.size(), 1U);
    }
    EXPECT_EQ(fake.live.back(), "");
}

TEST(ProgressMeter, ElsewhereAPlainLineEveryFiveSeconds) {
    FakeScreen fake;
    ProgressMeter meter(fake.screen(), "verify", 100, MeterUnit::kBytes, 0);
    for (int i = 0; i <= 12; ++i) {
        meter.update(static_cast<std::uint64_t>(i), i);
    }
    EXPECT_EQ(fake.plain.size(), 3U);  // at 2, 7 and 12
    EXPECT_TRUE(fake.live.empty());
}

}  // namespace
}  // namespace holdfast::telemetry
