// P7: bad input gets one clear line and a documented exit code, and changes nothing.
#include <filesystem>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "cli/small_run.h"

namespace holdfast::cli {
namespace {

class WrongInput : public SmallRun {
protected:
    // One line of error holding every one of `parts`; no run directory was made.
    void expect_refused(const std::vector<std::string>& more,
                        int exit_code,
                        const std::vector<std::string>& parts) {
        const Outcome outcome = train("wrong", more);
        EXPECT_EQ(outcome.exit_code, exit_code) << outcome.log;
        const std::vector<std::string> lines = lines_of(outcome.log);
        ASSERT_FALSE(lines.empty());
        EXPECT_EQ(lines.back().rfind("holdfast: error: ", 0), 0U) << outcome.log;
        for (const std::string& part : parts) {
            EXPECT_NE(lines.back().find(part), std::string::npos)
                << part << " is not in: " << lines.back();
        }
        EXPECT_FALSE(std::filesystem::exists(run_directory("wrong")));
    }
    // A training shard of `header` numbers and `tokens`, as llm.c writes them.
    std::string shard(const std::vector<std::int32_t>& header,
                      const std::vector<std::uint16_t>& tokens) {
        std::string bytes(1024, '\0');
        std::memcpy(bytes.data(), header.data(), header.size() * 4);
        bytes.append(reinterpret_cast<const char*>(tokens.data()), tokens.size() * 2);
        write_text(directory_ / "train_bad.bin", bytes);
        return directory_ / "train_bad.bin";
    }
};

TEST_F(WrongInput, P7_MissingData) {
    expect_refused({"--train", directory_ / "nowhere"}, 3, {"nowhere"});
}

TEST_F(WrongInput, P7_EmptyDataFile) {
    write_text(directory_ / "train_empty.bin", "");
    expect_refused({"--train", directory_ / "train_empty.bin"}, 2, {"train_empty.bin"});
}

TEST_F(WrongInput, P7_ShardWithAWrongMagic) {
    expect_refused({"--train", shard({20240326, 1, 200}, std::vector<std::uint16_t>(200, 5))},
                   2,
                   {"train_bad.bin"});
}

TEST_F(WrongInput, P7_ShardOfAWrongSize) {
    expect_refused({"--train", shard({20240520, 1, 500}, std::vector<std::uint16_t>(200, 5))},
                   3,
                   {"train_bad.bin", "500"});
}

TEST_F(WrongInput, P7_TokenBeyondTheVocabulary) {
    std::vector<std::uint16_t> tokens(2000, 5);
    tokens[1234] = 300;
    expect_refused({"--train", shard({20240520, 1, 2000}, tokens)}, 2, {"300", "1234"});
}

TEST_F(WrongInput, P7_ConfigValueOfAWrongType) {
    write_text(config_path_, R"({"model": {"n_layer": "four"}})");
    expect_refused({}, 2, {"model.n_layer", "four"});
}

TEST_F(WrongInput, P7_UnknownKeyNamesTheNearest) {
    expect_refused({"--learnin-rate", "1"}, 2, {"learning"});
}

TEST_F(WrongInput, P7_HeadsThatDoNotDivideTheChannels) {
    expect_refused({"--n-head", "3"}, 2, {"n_head", "n_embd"});
}

TEST_F(WrongInput, P7_PrecisionThatCannotBeTrainedIn) {
    expect_refused({"--precision", "fp8"}, 2, {"fp8", "bf16"});
}

TEST_F(WrongInput, P7_BatchThatDoesNotDivide) {
    expect_refused({"--batch-tokens", "1000"}, 2, {"batch_tokens", "1000", "1024"});
}

TEST_F(WrongInput, P7_ResumeWhereNothingIs) {
    const Outcome outcome = train("wrong", {"--resume", "latest"});
    EXPECT_EQ(outcome.exit_code, 3) << outcome.log;
    EXPECT_NE(outcome.log.find("wrong"), std::string::npos);
}

TEST_F(WrongInput, P7_CheckpointOfAnotherShape) {
    ASSERT_EQ(train("run", {"--max-steps", "12"}).exit_code, 0);
    const std::string hash = hash_of("run");
    const Outcome outcome = train("run", {"--resume", "latest", "--n-layer", "3"});
    EXPECT_TRUE(outcome.exit_code == 2 || outcome.exit_code == 3) << outcome.log;
    EXPECT_NE(outcome.log.find("n_layer"), std::string::npos) << outcome.log;
    EXPECT_EQ(hash_of("run"), hash);
}

TEST_F(WrongInput, P7_UnknownCommandNamesTheNearest) {
    const Outcome outcome = run_program({"trian"});
    EXPECT_EQ(outcome.exit_code, 2);
    EXPECT_NE(outcome.log.find("'train'"), std::string::npos);
}

}  // namespace
}  // namespace holdfast::cli
