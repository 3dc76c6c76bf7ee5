// P2, P4: two nodes of two ranks, each with its own supervisor, both on this machine. Where the
// second one is to have no disk in common with the first, it sees an empty file system in place of
// the run's folder.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>

#include "cli/many_ranks.h"
#include "cli/small_run.h"

namespace holdfast::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

class SeveralNodes : public SmallRun {
protected:
    [[nodiscard]] static std::vector<std::string> options_of(const std::vector<std::string>& more) {
        std::vector<std::string> options = {"--threads",
                                            "1",
                                            "--lanes",
                                            "4",
                                            "--micro-batch",
                                            "3",
                                            "--max-steps",
                                            "30",
                                            "--checkpoint-freq",
                                            "5",
                                            "--set",
                                            "schedule.steps=30",
                                            "--backup",
                                            "off"};
        options.insert(options.end(), more.begin(), more.end());
        return options;
    }

    // Starts the ranks of both nodes, two on each; the first of the pair is node 0.
    std::pair<std::unique_ptr<RunningProgram>, std::unique_ptr<RunningProgram>> start_nodes(
        const std::vector<std::string>& more, const std::vector<std::string>& before_node_1 = {}) {
        const std::string port = free_port();
        const auto start = [&](int node, const std::vector<std::string>& before) {
            std::vector<std::string> options = options_of(more);
            options.insert(options.end(),
                           {"--nproc-per-node",
                            "2",
                            "--nnodes",
                            "2",
                            "--node-rank",
                            std::to_string(node),
                            "--master-addr",
                            "127.0.0.1",
                            "--master-port",
                            port});
            const std::string folder =
                directory_ / ("node" + std::to_string(node) + "-" + std::to_string(++starts_));
            EXPECT_EQ(::mkdir(folder.c_str(), 0755), 0);
            std::vector<std::string> words = before;
            words.emplace_back(HOLDFAST_PROGRAM);
            for (const std::string& word : train_words("shared/run", options)) {
                words.push_back(word);
            }
            const Command command{words.front(), {words.begin() + 1, words.end()}};
            return std::make_unique<RunningProgram>(command, folder);
        };
        auto node_1 = start(1, before_node_1);
        return {start(0, {}), std::move(node_1)};
    }

    // The words that start a program for which another disk lies in the place of the run's folder;
    // none where that is not allowed.
    [[nodiscard]] std::vector<std::string> make_disk_apart() const {
        if (::unshare(CLONE_NEWNS) != 0) {
            return {};
        }
        const std::string folder = directory_ / "shared";
        EXPECT_EQ(::mkdir(folder.c_str(), 0755), 0);
        return {"unshare",
                "--mount",
                "sh",
                "-c",
                "mount -t tmpfs none '" + folder + "' && exec \"$@\"",
                "sh"};
    }

    void expect_the_end_of_one_process() {
        const Outcome straight = train("straight", options_of({"--nproc-per-node", "1"}));
        ASSERT_EQ(straight.exit_code, 0) << straight.log;
        EXPECT_EQ(exact_lines("shared/run"), exact_lines("straight"));
        EXPECT_EQ(hash_of("shared/run"), hash_of("straight"));
        const Outcome verified =
            run_program({"checkpoints", "verify", run_directory("shared/run")});
        EXPECT_EQ(verified.exit_code, 0) << verified.out << verified.log;
    }

    int starts_ = 0;
};

TEST_F(SeveralNodes, P4_PartsGoThroughRankZeroWhereToldAndComeFromThere) {
    auto [first, second] = start_nodes({"--checkpoint-gather", "on"});
    EXPECT_TRUE(first->wait_for_step(metrics_path("shared/run"), 12));
    first->send_signal(SIGTERM);
    const Outcome stopped = first->finish();
    EXPECT_EQ(stopped.exit_code, 143) << stopped.log;
    EXPECT_THAT(stopped.log, HasSubstr("parts of checkpoints of rank(s) 2, 3 go through rank 0"));
    EXPECT_THAT(stopped.log, Not(HasSubstr("failed")));
    static_cast<void>(second->finish());

    auto [again, again_second] = start_nodes({"--checkpoint-gather", "on", "--resume", "latest"});
    const Outcome last = again->finish();
    EXPECT_EQ(last.exit_code, 0) << last.log;
    EXPECT_THAT(last.log, HasSubstr("resumed from"));
    EXPECT_EQ(again_second->finish().exit_code, 0);
    expect_the_end_of_one_process();
}

TEST_F(SeveralNodes, ACommonDiskIsUsedByAll) {
    auto [first, second] = start_nodes({});
    const Outcome outcome = first->finish();
    EXPECT_EQ(outcome.exit_code, 0) << outcome.log;
    EXPECT_THAT(outcome.log, Not(HasSubstr("go through rank 0")));
    EXPECT_EQ(second->finish().exit_code, 0);
    expect_the_end_of_one_process();
}

TEST_F(SeveralNodes, P4_ANodeThatDoesNotSeeTheDirectoryNeedsNone) {
    const std::vector<std::string> apart = make_disk_apart();
    if (apart.empty()) {
        GTEST_SKIP() << "a file system of its own for a process needs root";
    }
    auto [first, second] = start_nodes({}, apart);
    const Outcome outcome = first->finish();
    EXPECT_EQ(outcome.exit_code, 0) << outcome.log;
    EXPECT_THAT(outcome.log, HasSubstr("rank 2 does not see the run in "));
    EXPECT_THAT(outcome.log, HasSubstr("go through rank 0"));
    EXPECT_EQ(second->finish().exit_code, 0);
    expect_the_end_of_one_process();
}

TEST_F(SeveralNodes, ANodeThatDoesNotSeeTheDirectoryIsToldOfWhenNothingMayBeSent) {
    const std::vector<std::string> apart = make_disk_apart();
    if (apart.empty()) {
        GTEST_SKIP() << "a file system of its own for a process needs root";
    }
    auto [first, second] = start_nodes({"--checkpoint-gather", "off"}, apart);
    const Outcome outcome = first->finish();
    EXPECT_EQ(outcome.exit_code, 2) << outcome.log;
    EXPECT_THAT(outcome.log, HasSubstr("does not see the run in " + run_directory("shared/run")));
    EXPECT_THAT(outcome.log, HasSubstr("--checkpoint-gather auto"));
    EXPECT_EQ(second->finish().exit_code, 2);
}

TEST_F(SeveralNodes, P2_ALostRankStartsTheRanksOfAllNodesAgain) {
    auto [first, second] = start_nodes({"--max-restarts",
                                        "3",
                                        "--max-steps",
                                        "60",
                                        "--set",
                                        "schedule.steps=60",
                                        "--set",
                                        "dist.lost_after=5"});
    ASSERT_TRUE(first->wait_for_step(metrics_path("shared/run"), 12));
    ASSERT_EQ(second->children().size(), 2U);
    ASSERT_EQ(::kill(second->children().at(1), SIGKILL), 0);
    const Outcome outcome = first->finish();
    EXPECT_EQ(outcome.exit_code, 0) << outcome.log;
    EXPECT_THAT(outcome.log, HasSubstr("restart 1 of 3 with 2 ranks"));
    const Outcome other = second->finish();
    EXPECT_EQ(other.exit_code, 0) << other.log;
    EXPECT_THAT(other.log, HasSubstr("was killed by SIGKILL"));
    EXPECT_THAT(other.log, HasSubstr("restart 1 of 3 with 2 ranks"));
    const Outcome straight = train(
        "straight",
        options_of({"--nproc-per-node", "1", "--max-steps", "60", "--set", "schedule.steps=60"}));
    ASSERT_EQ(straight.exit_code, 0) << straight.log;
    EXPECT_EQ(exact_lines("shared/run"), exact_lines("straight"));
    EXPECT_EQ(hash_of("shared/run"), hash_of("straight"));
}

}  // namespace
}  // namespace holdfast::cli
