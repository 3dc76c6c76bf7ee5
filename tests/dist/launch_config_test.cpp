#include "dist/launch_config.h"

#include <functional>
#include <limits>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast::dist {
namespace {

TEST(LaunchConfig, TheDefaultAndAPlainLaunchAreInOrder) {
    EXPECT_TRUE(check_launch_config({}).ok());
    LaunchConfig config;
    config.nproc_per_node = 8;
    config.max_restarts = 3;
    config.min_ranks = 2;
    EXPECT_TRUE(check_launch_config(config).ok());
    config.max_restarts = 0;
    config.nnodes = 4;
    config.node_rank = 3;
    config.master_addr = "node0";
    EXPECT_TRUE(check_launch_config(config).ok());
}

TEST(LaunchConfig, WhatCannotBeIsNamedWithItsValue) {
    struct Case {
        std::function<void(LaunchConfig&)> spoil;
        std::string message;
    };
    const std::vector<Case> cases = {
        {[](auto& c) { c.nproc_per_node = 0; }, "--nproc-per-node 0 must be"},
        {[](auto& c) { c.nproc_per_node = 1 << 21; }, "--nproc-per-node 2097152 must be"},
        {[](auto& c) { c.nnodes = 0; }, "--nnodes 0 must be"},
        {[](auto& c) { c.nnodes = std::numeric_limits<int>::max(); }, "--nnodes 2147483647 must"},
        {[](auto& c) { c.node_rank = 1; }, "--node-rank 1 must be from 0 to 0"},
        {[](auto& c) { c.node_rank = -1; }, "--node-rank -1 must be"},
        {[](auto& c) { c.nnodes = 2; }, "--nnodes 2 needs --master-addr"},
        {[](auto& c) { c.master_addr = "node7"; }, "--master-addr node7 has no use on one node"},
        {[](auto& c) { c.master_port = 65536; }, "--master-port 65536 must be"},
        {[](auto& c) { c.master_port = -1; }, "--master-port -1 must be"},
        {[](auto& c) { c.max_restarts = -1; }, "--max-restarts -1 must be"},
        {[](auto& c) { c.min_ranks = 5; }, "--min-ranks 5 must be from 1 to the 4 ranks"},
        {[](auto& c) { c.min_ranks = 0; }, "--min-ranks 0 must be"},
        {[](auto& c) { c.crash_loop_count = 0; }, "quick failures that end the restarts is 0"},
        {[](auto& c) { c.grace_seconds = -1; },
         "the grace of the other ranks after a failure is -1"},
        {[](auto& c) { c.kill_seconds = std::numeric_limits<double>::quiet_NaN(); },
         "from SIGTERM to SIGKILL is nan"},
        {[](auto& c) { c.crash_loop_seconds = -0.5; }, "a failure is a quick one is -0.5"},
        {[](auto& c) { c.restart_delay_seconds = std::numeric_limits<double>::infinity(); },
         "the pause before a restart is inf"},
    };
    for (const Case& entry : cases) {
        LaunchConfig config;
        config.nproc_per_node = 4;
        entry.spoil(config);
        const base::Status status = check_launch_config(config);
        ASSERT_FALSE(status.ok()) << entry.message;
        EXPECT_EQ(status.error().kind, base::ErrorKind::kInvalid);
        EXPECT_THAT(status.error().what, testing::HasSubstr(entry.message));
    }
}

}  // namespace
}  // namespace holdfast::dist
