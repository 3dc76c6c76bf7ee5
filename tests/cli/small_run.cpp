#include "cli/small_run.h"

#include <array>

#include <fmt/format.h>

#include "base/philox.h"
#include "telemetry/step_metrics.h"

namespace holdfast::cli {

std::string sample_text() {
    static constexpr std::array kWords = {"the",   "sea",   "holds", "a",     "ship", "and",
                                          "no",    "storm", "will",  "break", "her",  "stays",
                                          "while", "we",    "keep",  "watch", "by",   "night",
                                          "our",   "line",  "is",    "fast",  "made", "again"};
    std::string text;
    for (std::uint32_t i = 0; text.size() < 24000; ++i) {
        text += kWords.at(base::philox4x32({i, 0, 0, 0}, 42)[0] % kWords.size());
        text += i % 11 == 10 ? ".\n" : " ";
    }
    return text;
}

void SmallRun::SetUp() {
    write_text(directory_ / "text.txt", sample_text());
    const Outcome prepared = run_program({"prepare",
                                          directory_ / "text.txt",
                                          "--out",
                                          directory_ / "data",
                                          "--tokenizer",
                                          "bytes",
                                          "--val-fraction",
                                          "0.1"});
    ASSERT_EQ(prepared.exit_code, 0) << prepared.log;
    config_path_ = directory_ / "config.json";
    write_text(config_path_,
               fmt::format(R"({{
  // small enough for a test, large enough for two epochs and an accumulation of 3
  "seed": 7, "device": "cpu", "precision": "fp32", "threads": 2,
  "data": {{"train": ["{0}/data"], "val": ["{0}/data"], "tokenizer": "bytes"}},
  "model": {{"n_layer": 2, "n_head": 2, "n_embd": 32, "block_size": 64, "dropout": 0.1}},
  "batch": {{"batch_tokens": 768, "micro_batch": 4}},
  "train": {{"max_steps": 60, "eval_interval": 20}},
  "optimizer": {{"learning_rate": 1e-3}},
  "schedule": {{"warmup_steps": 10, "min_learning_rate": 1e-4}},
  "checkpoint": {{"interval": 20}}
}})",
                           directory_.path()));
}

std::vector<std::string> SmallRun::train_words(const std::string& name,
                                               const std::vector<std::string>& more) const {
    std::vector<std::string> words = {
        "train", "--config", config_path_, "--checkpoint-dir", run_directory(name)};
    words.insert(words.end(), more.begin(), more.end());
    return words;
}

Outcome SmallRun::train(const std::string& name, const std::vector<std::string>& more) {
    return run_program(train_words(name, more));
}

std::vector<std::string> SmallRun::exact_lines(const std::string& name) const {
    std::vector<std::string> exact;
    for (const std::string& line : lines_of(read_text(metrics_path(name)))) {
        const auto metrics = telemetry::parse_step_metrics(line);
        EXPECT_TRUE(metrics.ok()) << line;
        exact.push_back(telemetry::to_exact_json_line(metrics.value()));
    }
    return exact;
}

std::string SmallRun::hash_of(const std::string& name) const {
    const Outcome outcome = run_program({"checkpoints", "hash", run_directory(name)});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.log;
    return outcome.out.substr(0, outcome.out.find(' '));
}

}  // namespace holdfast::cli
