// Each config of the repository, trained scaled down: its own keys, a smaller model, batch and
// text.
#include <filesystem>

#include <gtest/gtest.h>

#include "cli/small_run.h"

namespace holdfast::cli {
namespace {

class CommittedConfigs : public SmallRun, public testing::WithParamInterface<const char*> {
protected:
    // The data of the config's tokenizer.
    std::string prepare_text(const std::string& tokenizer) {
        std::string folder = directory_ / tokenizer;
        const Outcome prepared = run_program({"prepare",
                                              directory_ / "text.txt",
                                              "--out",
                                              folder,
                                              "--tokenizer",
                                              tokenizer,
                                              "--val-fraction",
                                              "0.1"});
        EXPECT_EQ(prepared.exit_code, 0) << prepared.log;
        return folder;
    }
};

TEST_P(CommittedConfigs, TrainsAndResumesScaledDown) {
    const std::string path = std::string(HOLDFAST_SOURCE_DIR "/configs/") + GetParam() + ".json";
    const bool is_bytes = read_text(path).find("\"tokenizer\": \"bytes\"") != std::string::npos;
    const std::string folder = prepare_text(is_bytes ? "bytes" : "gpt2");
    std::vector<std::string> words = {"train", "--config", path, "--device", "cpu"};
    for (const auto& [key, value] : std::vector<std::pair<std::string, std::string>>{
             {"data.train", folder + "/train_*.bin"},
             {"data.val", folder + "/val_*.bin"},
             {"model.n_layer", "2"},
             {"model.n_head", "2"},
             {"model.n_embd", "32"},
             {"model.block_size", "32"},
             {"batch.batch_tokens", "1024"},
             {"batch.micro_batch", "2"},
             {"schedule.warmup_steps", "1"},
             {"schedule.steps", "4"},
             {"train.eval_interval", "2"},
             {"train.eval_tokens", "128"},
             {"checkpoint.interval", "2"},
             {"checkpoint.dir", run_directory("run")}}) {
        words.push_back("--" + key + "=" + value);
    }
    for (const char* max_steps : {"3", "4"}) {
        std::vector<std::string> part = words;
        part.insert(part.end(), {"--max-steps", max_steps});
        const Outcome outcome = run_program(part);
        ASSERT_EQ(outcome.exit_code, 0) << outcome.log;
    }
    EXPECT_EQ(exact_lines("run").size(), 4U);
    EXPECT_TRUE(
        std::filesystem::exists(run_directory("run") + "/rolling/step_00000004/checkpoint.json"));
}

INSTANTIATE_TEST_SUITE_P(
    All,
    CommittedConfigs,
    testing::Values("shakespeare-cpu", "shakespeare-bpe", "rtx4060-depth8", "dgx-gpt2-124m"),
    [](const auto& config) {
        std::string name;
        for (const char c : std::string(config.param)) {
            name += c == '-' ? "" : std::string(1, c);
        }
        return name;
    });

TEST(CommittedConfigsList, HasEveryFileOfTheFolder) {
    std::size_t files = 0;
    for (const auto& entry : std::filesystem::directory_iterator(HOLDFAST_SOURCE_DIR "/configs")) {
        files += entry.path().extension() == ".json" ? 1U : 0U;
    }
    EXPECT_EQ(files, 4U) << "a new config belongs into the list above";
}

}  // namespace
}  // namespace holdfast::cli
