#include "telemetry/step_metrics.h"

#include <bit>
#include <cmath>
#include <limits>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/philox.h"

namespace holdfast::telemetry {
namespace {

StepMetrics evaluated_step() {
    StepMetrics metrics;
    metrics.step = 250;
    metrics.phase = "base";
    metrics.epoch = 1;
    metrics.loss = 2.5;
    metrics.val_losses = {{"", 2.75}, {"poems", 3.5}};
    metrics.learning_rate = 6e-4;
    metrics.grad_norm = 0.5;
    metrics.tokens = 1024000;
    metrics.batch_hash = 0x00ff00ff00ff00ff;
    metrics.step_ms = 512.25;
    metrics.rank_compute_ms = {480.5, 500.0};
    metrics.rank_wait_ms = {31.5, 12.25};
    metrics.communication_ms = 12.25;
    metrics.memory_bytes = 1U << 30U;
    metrics.page_faults = 12;
    metrics.resumed_from = 200;
    metrics.events = {"refused \"step\" 249"};
    return metrics;
}

TEST(StepMetrics, WritesTheContractsFieldsInOrder) {
    EXPECT_EQ(
        to_json_line(evaluated_step()),
        R"({"step":250,"phase":"base","epoch":1,"loss":2.5,"val_loss":2.75,)"
        R"("val_loss.poems":3.5,"lr":0.0006,"grad_norm":0.5,"tokens":1024000,)"
        R"("batch_hash":"00ff00ff00ff00ff","step_ms":512.25,)"
        R"("rank_compute_ms":[480.5,500.0],"rank_wait_ms":[31.5,12.25],"communication_ms":12.25,)"
        R"("memory_bytes":1073741824,"page_faults":12,)"
        R"("resumed_from":200,"event":["refused \"step\" 249"]})");
}

TEST(StepMetrics, ExactAndManifestFormsLeaveOutTheRest) {
    EXPECT_EQ(to_exact_json_line(evaluated_step()),
              R"({"step":250,"phase":"base","epoch":1,"loss":2.5,"val_loss":2.75,)"
              R"("val_loss.poems":3.5,"lr":0.0006,"grad_norm":0.5,"tokens":1024000,)"
              R"("batch_hash":"00ff00ff00ff00ff"})");
    EXPECT_EQ(to_manifest_json(evaluated_step()),
              R"({"step":250,"phase":"base","epoch":1,"loss":2.5,"lr":0.0006,"grad_norm":0.5,)"
              R"("tokens":1024000,"batch_hash":"00ff00ff00ff00ff"})");
}

TEST(StepMetrics, ReadsBackWhatItWrote) {
    const auto read = parse_step_metrics(to_json_line(evaluated_step()) + "\n");
    ASSERT_TRUE(read.ok()) << read.error().what;
    EXPECT_EQ(to_json_line(read.value()), to_json_line(evaluated_step()));
    EXPECT_EQ(read.value().val_loss(), 2.75);
    EXPECT_EQ(read.value().batch_hash, 0x00ff00ff00ff00ffU);
}

TEST(StepMetrics, RandomFloatsReadBackToTheSameBits) {
    for (std::uint32_t i = 0; i < 20000; ++i) {
        const auto bits = base::philox4x32({i, 0, 0, 0}, 7);
        StepMetrics metrics;
        metrics.loss = std::bit_cast<double>(std::uint64_t{bits[0]} << 32U | bits[1]);
        metrics.grad_norm = static_cast<double>(std::bit_cast<float>(bits[2]));
        metrics.mfu = static_cast<double>(i);
        if (!std::isfinite(metrics.loss) || !std::isfinite(metrics.grad_norm)) {
            continue;
        }
        const auto read = parse_step_metrics(to_json_line(metrics));
        ASSERT_TRUE(read.ok()) << read.error().what;
        ASSERT_EQ(std::bit_cast<std::uint64_t>(read.value().loss),
                  std::bit_cast<std::uint64_t>(metrics.loss));
        ASSERT_EQ(std::bit_cast<std::uint64_t>(read.value().grad_norm),
                  std::bit_cast<std::uint64_t>(metrics.grad_norm));
        ASSERT_EQ(read.value().mfu, metrics.mfu);
    }
}

TEST(StepMetrics, EdgesOfTheFloatRangeReadBackToTheSameBits) {
    using Limits = std::numeric_limits<double>;
    for (const double value : {-0.0,
                               0.0,
                               1.0,
                               1e22,
                               9007199254740993.0,
                               Limits::denorm_min(),
                               Limits::min(),
                               Limits::max(),
                               -Limits::max()}) {
        StepMetrics metrics;
        metrics.loss = value;
        const auto read = parse_step_metrics(to_json_line(metrics));
        ASSERT_TRUE(read.ok()) << read.error().what;
        EXPECT_EQ(std::bit_cast<std::uint64_t>(read.value().loss),
                  std::bit_cast<std::uint64_t>(value))
            << to_json_line(metrics);
    }
}

TEST(StepMetrics, NonFiniteFieldsAreNullAndNamed) {
    StepMetrics metrics;
    metrics.loss = std::numeric_limits<double>::quiet_NaN();
    metrics.grad_norm = -std::numeric_limits<double>::infinity();
    const std::string line = to_json_line(metrics);
    EXPECT_NE(line.find(R"("loss":null)"), std::string::npos) << line;
    EXPECT_NE(line.find(R"("nonfinite":{"loss":"nan","grad_norm":"-inf"})"), std::string::npos)
        << line;
    const auto read = parse_step_metrics(line);
    ASSERT_TRUE(read.ok()) << read.error().what;
    EXPECT_TRUE(std::isnan(read.value().loss));
    EXPECT_EQ(read.value().grad_norm, metrics.grad_norm);
}

TEST(StepMetrics, TextThatIsNotUtf8StillMakesALine) {
    StepMetrics metrics;
    metrics.events = {"\xff"};
    EXPECT_TRUE(parse_step_metrics(to_json_line(metrics)).ok());
}

TEST(StepMetrics, DamagedLinesAreNamed) {
    EXPECT_EQ(parse_step_metrics("{\"step\":1").error().kind, base::ErrorKind::kCorrupt);
    EXPECT_EQ(parse_step_metrics("{\"step\":1}").error().what,
              "a metrics line: field 'loss' is missing");
    EXPECT_EQ(parse_step_metrics(R"({"step":"1","loss":2.0})").error().what,
              "a metrics line: field 'step': expected a whole number, found \"1\"");
    EXPECT_EQ(parse_step_metrics(R"({"step":1,"loss":2.0,"batch_hash":"xyz"})").error().what,
              "a metrics line: field 'batch_hash': expected 16 hex digits, found \"xyz\"");
    for (const char* step : {"-1", "18446744073709551615"}) {
        EXPECT_EQ(
            parse_step_metrics(fmt::format(R"({{"step":{},"loss":2}})", step)).error().what,
            fmt::format("a metrics line: field 'step': expected a whole number, found {}", step));
    }
    const std::string deep = std::string(200'000, '[') + std::string(200'000, ']');
    EXPECT_EQ(parse_step_metrics(R"({"step":)" + deep + '}').error().what,
              "a metrics line: field 'step': expected a whole number, found array");
}

}  // namespace
}  // namespace holdfast::telemetry
