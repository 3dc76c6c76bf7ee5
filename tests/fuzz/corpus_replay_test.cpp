// Every input that fuzzing kept, through the checks it was kept for; and the seeds.
#include <filesystem>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "fuzz/fuzz_target.h"

namespace holdfast::fuzz {
namespace {

namespace stdfs = std::filesystem;

const stdfs::path kCorpus = stdfs::path(HOLDFAST_SOURCE_DIR) / "tests/fuzz/corpus";

std::string read_text(const stdfs::path& path) {
    std::ifstream stream(path, std::ios::binary);
    std::ostringstream text;
    text << stream.rdbuf();
    return text.str();
}

class Corpus : public testing::TestWithParam<FuzzTarget> {
protected:
    static bool check(std::string_view input, const std::string& name) {
        try {
            return check_within_bound(GetParam(), input);
        } catch (const std::exception& broken) {
            ADD_FAILURE() << name << ": " << broken.what();
            return false;
        }
    }
};

TEST_P(Corpus, EveryInputHoldsThePropertiesOfItsTarget) {
    int inputs = 0;
    for (const auto& entry : stdfs::directory_iterator(kCorpus / GetParam().name)) {
        check(read_text(entry.path()), entry.path().string());
        ++inputs;
    }
    EXPECT_GT(inputs, 0);
}

TEST_P(Corpus, TakesItsSeeds) {
    const std::vector<std::string> seeds = GetParam().seeds();
    EXPECT_FALSE(seeds.empty());
    for (std::size_t i = 0; i < seeds.size(); ++i) {
        EXPECT_TRUE(check(seeds[i], "seed " + std::to_string(i))) << seeds[i];
    }
}

INSTANTIATE_TEST_SUITE_P(Fuzz,
                         Corpus,
                         testing::ValuesIn(all_fuzz_targets().begin(), all_fuzz_targets().end()),
                         [](const auto& instance) {
                             std::string name(instance.param.name);
                             std::erase(name, '_');
                             return name;
                         });

TEST(CorpusFolders, AreThoseOfTheTargets) {
    for (const auto& entry : stdfs::directory_iterator(kCorpus)) {
        EXPECT_NE(find_fuzz_target(entry.path().filename().string()), nullptr) << entry.path();
    }
}

}  // namespace
}  // namespace holdfast::fuzz
