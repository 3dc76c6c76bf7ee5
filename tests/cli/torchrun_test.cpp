// PyTorch's torchrun itself starts the ranks: that of the pinned torch, whose Python part lies in
// the CUDA flavour of the cache.
#include <array>
#include <filesystem>
#include <optional>

#include <signal.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/many_ranks.h"

namespace holdfast::cli {
namespace {

using testing::HasSubstr;

// The folder that holds torch/ with its Python part: that of this build, or its CUDA sibling.
std::optional<std::string> find_torch() {
    const std::string own = HOLDFAST_TORCH_DIR;
    const std::string flavour = "-cpu";
    std::vector<std::string> folders = {own};
    if (own.size() > flavour.size() &&
        own.compare(own.size() - flavour.size(), flavour.size(), flavour) == 0) {
        folders.push_back(own.substr(0, own.size() - flavour.size()) + "-cuda");
    }
    for (const std::string& folder : folders) {
        if (std::filesystem::exists(folder + "/torch/distributed/run.py")) {
            return folder;
        }
    }
    return std::nullopt;
}

// "3.11" for a torch that has _C.cpython-311-x86_64-linux-gnu.so.
std::string python_version_of(const std::string& torch_folder) {
    const std::string prefix = "_C.cpython-3";
    for (const auto& entry : std::filesystem::directory_iterator(torch_folder + "/torch")) {
        const std::string name = entry.path().filename();
        if (name.rfind(prefix, 0) == 0) {
            return "3." + name.substr(prefix.size(), name.find('-', prefix.size()) - prefix.size());
        }
    }
    return "3";
}

std::optional<std::string> find_python(const std::string& version) {
    for (const std::string& program : {"/usr/bin/python" + version, "python" + version}) {
        if (run_command({program, {"--version"}}).exit_code == 0) {
            return program;
        }
    }
    return std::nullopt;
}

class Torchrun : public ManyRanks {
protected:
    void SetUp() override {
        const std::optional<std::string> torch = find_torch();
        if (!torch) {
            GTEST_SKIP() << "no torchrun: the Python part of torch is in the CUDA flavour of the "
                            "cache alone (tools/setup --flavour cuda)";
        }
        torch_folder_ = *torch;
        const std::string version = python_version_of(torch_folder_);
        const std::optional<std::string> python = find_python(version);
        if (!python) {
            GTEST_SKIP() << "no python" << version << ", for which torch in " << torch_folder_
                         << " was built";
        }
        python_ = *python;
        ManyRanks::SetUp();
    }

    [[nodiscard]] Command torchrun(const std::vector<std::string>& options,
                                   const std::vector<std::string>& words) const {
        return {python_,
                with(with({"-m", "torch.distributed.run", "--no-python"}, options),
                     with({HOLDFAST_PROGRAM}, words))};
    }
    // The cache is not written to, and what is compiled once serves the next test.
    [[nodiscard]] std::vector<std::string> environment(
        const std::vector<std::string>& more = {}) const {
        return with({"PYTHONPATH=" + torch_folder_,
                     "PYTHONPYCACHEPREFIX=" HOLDFAST_BINARY_DIR "/pycache",
                     "PYTHONNOUSERSITE=1",
                     "TMPDIR=" + directory_.path()},
                    more);
    }
    // The same bits as one rank, with two that torchrun starts under `options`.
    void expect_bits_of_one(const std::vector<std::string>& options,
                            const std::vector<std::string>& variables = {}) {
        const Outcome shared = run_command(torchrun(with({"--nproc-per-node", "2"}, options),
                                                    train_words("shared", options_of_each())),
                                           environment(variables));
        ASSERT_EQ(shared.exit_code, 0) << shared.log;
        EXPECT_THAT(shared.log,
                    HasSubstr("ranks   2 (2 on each of 1 node(s)), started by torchrun"));
        const Outcome alone = train("alone", options_of_each());
        ASSERT_EQ(alone.exit_code, 0) << alone.log;
        EXPECT_EQ(exact_lines("shared"), exact_lines("alone"));
        EXPECT_EQ(hash_of("shared"), hash_of("alone"));
    }

    std::string torch_folder_;
    std::string python_;
};

TEST_F(Torchrun, P4_TwoRanksAtTheAgentsStoreGiveTheBitsOfOne) {
    expect_bits_of_one({});
}

TEST_F(Torchrun, P4_TwoRanksOfAStaticRendezvousGiveTheBitsOfOne) {
    expect_bits_of_one(
        {"--rdzv-backend", "static", "--master-addr", "127.0.0.1", "--master-port", free_port()});
}

TEST_F(Torchrun, P4_TwoRanksAtAStoreOfTheirOwnGiveTheBitsOfOne) {
    expect_bits_of_one({}, {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1"});
}

TEST_F(Torchrun, TellsTheExitCodeOfARefusal) {
    const Outcome outcome =
        run_command(torchrun({"--nproc-per-node", "3"}, train_words("three", options_of_each())),
                    environment());
    EXPECT_EQ(outcome.exit_code, 1) << outcome.log;
    EXPECT_THAT(outcome.log, HasSubstr("3 ranks cannot share the 4 lanes"));
    EXPECT_THAT(outcome.log, HasSubstr("exitcode  : 2"));
}

TEST_F(Torchrun, P2_ItsRestartAfterAKilledRankGoesOnWithTheSameBits) {
    RunningProgram program(torchrun({"--nproc-per-node", "2", "--max-restarts", "1"},
                                    train_words("killed", options_of_each())),
                           directory_.path(),
                           environment());
    ASSERT_TRUE(program.wait_for_step(metrics_path("killed"), 25));
    const std::vector<pid_t> ranks = program.children();
    ASSERT_EQ(ranks.size(), 2U);
    ASSERT_EQ(::kill(ranks.back(), SIGKILL), 0);
    const Outcome outcome = program.finish();
    ASSERT_EQ(outcome.exit_code, 0) << outcome.log;
    EXPECT_THAT(outcome.log, HasSubstr("resumed from rolling/step_"));
    const Outcome alone = train("alone", options_of_each());
    ASSERT_EQ(alone.exit_code, 0) << alone.log;
    EXPECT_EQ(exact_lines("killed"), exact_lines("alone"));
    EXPECT_EQ(hash_of("killed"), hash_of("alone"));
}

}  // namespace
}  // namespace holdfast::cli
