// Two machines: two networks joined by a cable, a supervisor in each.
#include <memory>

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/listening_addresses.h"
#include "cli/many_ranks.h"
#include "cli/network_node.h"

namespace holdfast::cli {
namespace {

using testing::AnyOf;
using testing::Each;
using testing::HasSubstr;

constexpr const char* kAddressOf0 = "10.77.0.1";
constexpr const char* kAddressOf1 = "10.77.0.2";
// Nobody else is in these networks.
constexpr const char* kPort = "29500";

class TwoNodes : public ManyRanks {
protected:
    void SetUp() override {
        for (const NetworkNode* node : {&node_0_, &node_1_}) {
            if (!node->why_not().empty()) {
                GTEST_SKIP() << node->why_not();
            }
        }
        const std::string why_not =
            NetworkNode::connect(node_0_, kAddressOf0, node_1_, kAddressOf1);
        if (!why_not.empty()) {
            GTEST_SKIP() << why_not;
        }
        ManyRanks::SetUp();
    }

    // What starts two ranks as node `number` of `count`, to meet at `master`.
    static std::vector<std::string> node_options(int number,
                                                 int count,
                                                 const std::string& master,
                                                 const std::vector<std::string>& more = {}) {
        return with(options_of(2,
                               {"--nnodes",
                                std::to_string(count),
                                "--node-rank",
                                std::to_string(number),
                                "--master-addr",
                                master,
                                "--master-port",
                                kPort}),
                    more);
    }
    std::unique_ptr<RunningProgram> start_on(const NetworkNode& node,
                                             const std::string& run,
                                             const std::vector<std::string>& options) {
        const std::string folder = directory_ / ("output" + std::to_string(++start_count_));
        EXPECT_EQ(::mkdir(folder.c_str(), 0755), 0);
        return std::make_unique<RunningProgram>(
            node.on_this({HOLDFAST_PROGRAM, train_words(run, options)}), folder);
    }

    NetworkNode node_0_;
    NetworkNode node_1_;
    int start_count_ = 0;
};

TEST_F(TwoNodes, P4_TwoRanksOnEachGiveTheBitsOfOneRank) {
    const auto one = start_on(node_1_, "shared", node_options(1, 2, kAddressOf0));
    const auto zero = start_on(node_0_, "shared", node_options(0, 2, kAddressOf0));
    const Outcome outcome_0 = zero->finish();
    const Outcome outcome_1 = one->finish();
    ASSERT_EQ(outcome_0.exit_code, 0) << outcome_0.log;
    ASSERT_EQ(outcome_1.exit_code, 0) << outcome_1.log;
    EXPECT_THAT(outcome_0.log,
                HasSubstr("ranks   4 (2 on each of 2 node(s)), started by holdfast; they meet at " +
                          std::string(kAddressOf0)));
    const Outcome alone = train("alone", options_of(1));
    ASSERT_EQ(alone.exit_code, 0) << alone.log;
    EXPECT_EQ(exact_lines("shared"), exact_lines("alone"));
    EXPECT_EQ(hash_of("shared"), hash_of("alone"));
}

TEST_F(TwoNodes, ASignalAtOneStopsBothAndSaves) {
    const std::vector<std::string> endless = {"--max-steps", "100000"};
    const auto zero = start_on(node_0_, "stopped", node_options(0, 2, kAddressOf0, endless));
    const auto one = start_on(node_1_, "stopped", node_options(1, 2, kAddressOf0, endless));
    ASSERT_TRUE(zero->wait_for_step(metrics_path("stopped"), 5));
    one->send_signal(SIGTERM);
    const Outcome outcome_0 = zero->finish();
    const Outcome outcome_1 = one->finish();
    EXPECT_EQ(outcome_0.exit_code, 143) << outcome_0.log;
    EXPECT_EQ(outcome_1.exit_code, 143) << outcome_1.log;
    EXPECT_THAT(outcome_0.log, HasSubstr("stopped by SIGTERM; step "));
}

TEST_F(TwoNodes, ListenInTheNetworkOfTheMasterAddressAlone) {
    const NetworkNode outside;
    ASSERT_EQ(outside.why_not(), "");
    ASSERT_EQ(NetworkNode::connect(node_0_, "10.78.0.1", outside, "10.78.0.2"), "");
    const std::vector<std::string> endless = {"--max-steps", "100000"};
    const auto zero = start_on(node_0_, "closed", node_options(0, 2, kAddressOf0, endless));
    const auto one = start_on(node_1_, "closed", node_options(1, 2, kAddressOf0, endless));
    ASSERT_TRUE(zero->wait_for_step(metrics_path("closed"), 5));

    std::size_t count = 0;
    for (const auto& [supervisor, address] :
         {std::pair(zero.get(), "01004D0A"), std::pair(one.get(), "02004D0A")}) {
        for (const pid_t rank : supervisor->children()) {
            for (const std::string& listening : listening_addresses(rank)) {
                EXPECT_EQ(listening, address);
                ++count;
            }
        }
    }
    EXPECT_GE(count, 5U) << "the store, and gloo of each rank";

    // The same words from the other network, to the address that node 0 has there.
    const Outcome stranger =
        start_on(
            outside, "closed", node_options(1, 2, "10.78.0.1", {"--set", "dist.join_timeout=5"}))
            ->finish();
    EXPECT_NE(stranger.exit_code, 0);
    EXPECT_THAT(stranger.log, HasSubstr("cannot reach the store of the run at 10.78.0.1:29500: "));

    zero->send_signal(SIGTERM);
    EXPECT_EQ(zero->finish().exit_code, 143);
    EXPECT_EQ(one->finish().exit_code, 143);
}

// Supervisors of other words have another token: at the same store they are not in each other's
// way.
TEST_F(TwoNodes, AHostWithAnotherLayoutCannotJoinAndDisturbsNobody) {
    const std::vector<std::string> endless = {"--max-steps", "100000"};
    const auto zero = start_on(node_0_, "real", node_options(0, 2, kAddressOf0, endless));
    const auto one = start_on(node_1_, "real", node_options(1, 2, kAddressOf0, endless));
    ASSERT_TRUE(zero->wait_for_step(metrics_path("real"), 5));
    const Outcome stranger =
        start_on(
            node_1_, "stranger", node_options(2, 3, kAddressOf0, {"--set", "dist.join_timeout=5"}))
            ->finish();
    EXPECT_NE(stranger.exit_code, 0);
    EXPECT_THAT(stranger.log, HasSubstr("of 6 could not join the others within 5 s"));
    const auto steps = static_cast<std::int64_t>(lines_of(read_text(metrics_path("real"))).size());
    EXPECT_TRUE(zero->wait_for_step(metrics_path("real"), steps + 5)) << "the others go on";
    zero->send_signal(SIGTERM);
    EXPECT_EQ(zero->finish().exit_code, 143);
    EXPECT_EQ(one->finish().exit_code, 143);
}

TEST_F(TwoNodes, AMissingNodeIsNamedWithinTheTimeout) {
    const std::vector<std::string> soon = {"--set", "dist.join_timeout=3"};
    const Outcome without_1 =
        start_on(node_0_, "alone", node_options(0, 2, kAddressOf0, soon))->finish();
    EXPECT_NE(without_1.exit_code, 0);
    EXPECT_THAT(without_1.log, HasSubstr("rank 0 of 4 could not join the others within 3 s"));
    const Outcome without_0 =
        start_on(node_1_, "alone", node_options(1, 2, kAddressOf0, soon))->finish();
    EXPECT_NE(without_0.exit_code, 0);
    EXPECT_THAT(without_0.log, HasSubstr("cannot reach the store of the run at 10.77.0.1:29500: "));
    for (const Outcome& outcome : {without_1, without_0}) {
        EXPECT_THAT(lines_of(outcome.log),
                    Each(AnyOf(HasSubstr("holdfast: "), HasSubstr("; waiting, 3.0s at most"))))
            << "no stacks of libtorch";
    }
    EXPECT_NE(::access(run_directory("alone").c_str(), F_OK), 0) << "nothing is changed";
}

}  // namespace
}  // namespace holdfast::cli
