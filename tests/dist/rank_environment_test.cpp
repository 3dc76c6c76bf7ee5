#include "dist/rank_environment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dist/launch_environment.h"

namespace holdfast::dist {
namespace {

using testing::ElementsAre;

RankOrder example_order() {
    RankOrder order;
    order.place = {
        .rank = 5, .size = 8, .local_rank = 1, .local_size = 4, .node_rank = 1, .node_count = 2};
    order.master_host = "10.0.0.7";
    order.master_port = 1234;
    order.run_token = "cafe";
    order.restart_count = 2;
    return order;
}

EnvironmentLookup lookup_in(const std::vector<std::string>& environment) {
    return [environment](const std::string& name) -> std::optional<std::string> {
        for (const std::string& setting : environment) {
            if (setting.rfind(name + '=', 0) == 0) {
                return setting.substr(name.size() + 1);
            }
        }
        return std::nullopt;
    };
}

TEST(RankEnvironment, SetsEachVariableOnceAndKeepsTheRest) {
    EXPECT_THAT(rank_environment({"PATH=/bin",
                                  "HOLDFAST_RANK=7",
                                  "HOLDFAST_MASTER_LISTEN_FD=9",
                                  "HOLDFAST_RANKS=all",
                                  "HOLDFAST_CACHE=x",
                                  "EMPTY="},
                                 example_order()),
                ElementsAre("PATH=/bin",
                            "HOLDFAST_RANKS=all",
                            "HOLDFAST_CACHE=x",
                            "EMPTY=",
                            "HOLDFAST_RANK=5",
                            "HOLDFAST_WORLD_SIZE=8",
                            "HOLDFAST_LOCAL_RANK=1",
                            "HOLDFAST_LOCAL_WORLD_SIZE=4",
                            "HOLDFAST_NODE_RANK=1",
                            "HOLDFAST_MASTER_ADDR=10.0.0.7",
                            "HOLDFAST_MASTER_PORT=1234",
                            "HOLDFAST_RUN_TOKEN=cafe",
                            "HOLDFAST_RESTART_COUNT=2"));
}

TEST(RankEnvironment, ShowsTheDevicesOfTheSlotsThatAreLeft) {
    RankOrder order = example_order();
    const auto shown = [&](const std::vector<std::string>& inherited) {
        return lookup_in(rank_environment(inherited, order))("CUDA_VISIBLE_DEVICES");
    };
    EXPECT_EQ(shown({}), std::nullopt);
    EXPECT_EQ(shown({"CUDA_VISIBLE_DEVICES=4,5"}), "4,5");
    order.slots = {0, 1, 3};
    EXPECT_EQ(shown({}), "0,1,3");
    EXPECT_EQ(shown({"CUDA_VISIBLE_DEVICES=4,GPU-5a,6,7"}), "4,GPU-5a,7");
    // More ranks than GPUs: they run on the CPU.
    EXPECT_EQ(shown({"CUDA_VISIBLE_DEVICES=4,5,6"}), "4,5,6");
    EXPECT_EQ(shown({"CUDA_VISIBLE_DEVICES="}), "");
}

TEST(RankEnvironment, IsReadBackAsItWasWritten) {
    RankOrder order = example_order();
    order.place = {.size = 4, .local_size = 4};
    order.listen_fd = 12;
    const auto read = read_launch_environment(lookup_in(rank_environment({}, order)));
    ASSERT_TRUE(read.ok()) << read.error().what;
    EXPECT_EQ(read.value().launcher, Launcher::kHoldfast);
    EXPECT_EQ(read.value().place, order.place);
    EXPECT_EQ(read.value().master_host, order.master_host);
    EXPECT_EQ(read.value().master_port, order.master_port);
    EXPECT_EQ(read.value().token, order.run_token);
    EXPECT_EQ(read.value().restart_count, order.restart_count);
    EXPECT_EQ(read.value().master_listen_fd, 12);
}

}  // namespace
}  // namespace holdfast::dist
