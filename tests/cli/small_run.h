// A small run on real text: prepared data, a config, and what it leaves on disk.
#pragma once

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "cli/program.h"
#include "temporary_directory.h"

namespace holdfast::cli {

class SmallRun : public testing::Test {
protected:
    // Two epochs of 25 steps each and more; six steps a second even on a slow machine.
    void SetUp() override;

    [[nodiscard]] std::string run_directory(const std::string& name) const {
        return directory_ / name;
    }
    [[nodiscard]] std::vector<std::string> train_words(
        const std::string& name, const std::vector<std::string>& more = {}) const;
    // Trains `name` to its end in one go.
    Outcome train(const std::string& name, const std::vector<std::string>& more = {});
    [[nodiscard]] std::string metrics_path(const std::string& name) const {
        return run_directory(name) + "/metrics.jsonl";
    }
    // The exact fields of every line of metrics.jsonl.
    [[nodiscard]] std::vector<std::string> exact_lines(const std::string& name) const;
    // `checkpoints hash`, without step and path.
    [[nodiscard]] std::string hash_of(const std::string& name) const;

    TemporaryDirectory directory_;
    std::string config_path_;
};

// About 24 KB of English-like text, the same each time.
std::string sample_text();

}  // namespace holdfast::cli
