#include "cli/launch_options.h"

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "config/resolve.h"
#include "fs/durable_write.h"
#include "fs/real_file_system.h"

namespace holdfast::cli {
namespace {

using dist::Launcher;

TEST(LaunchOptions, AutoTakesAsManyGpusAsCanShareTheLanes) {
    EXPECT_EQ(ranks_that_share(8, 8, 1), 8);
    EXPECT_EQ(ranks_that_share(7, 8, 1), 4);
    EXPECT_EQ(ranks_that_share(3, 8, 1), 2);
    EXPECT_EQ(ranks_that_share(1, 8, 1), 1);
    EXPECT_EQ(ranks_that_share(8, 6, 1), 6);
    EXPECT_EQ(ranks_that_share(5, 6, 1), 3);
    // On several nodes all of them together share the lanes.
    EXPECT_EQ(ranks_that_share(8, 16, 2), 8);
    EXPECT_EQ(ranks_that_share(8, 8, 2), 4);
    // 3 nodes cannot share 8 lanes: the run will say so.
    EXPECT_EQ(ranks_that_share(8, 8, 3), 8);
}

dist::LaunchEnvironment started_by(Launcher launcher, int size) {
    dist::LaunchEnvironment environment;
    environment.launcher = launcher;
    environment.place.size = size;
    environment.place.local_size = size;
    return environment;
}

TEST(LaunchOptions, RanksAreStartedOnlyWhereNobodyHas) {
    for (const bool is_explicit : {false, true}) {
        EXPECT_TRUE(must_start_ranks(8, is_explicit, started_by(Launcher::kNone, 1)));
        EXPECT_FALSE(must_start_ranks(1, is_explicit, started_by(Launcher::kNone, 1)));
        EXPECT_FALSE(must_start_ranks(8, is_explicit, started_by(Launcher::kHoldfast, 8)));
        EXPECT_FALSE(must_start_ranks(1, is_explicit, started_by(Launcher::kTorchrun, 8)));
    }
    for (const Launcher launcher : {Launcher::kTorchrun, Launcher::kOpenMpi, Launcher::kSlurm}) {
        EXPECT_FALSE(must_start_ranks(8, false, started_by(launcher, 8)));
        EXPECT_FALSE(must_start_ranks(8, false, started_by(launcher, 1)));
        EXPECT_TRUE(must_start_ranks(8, true, started_by(launcher, 1)));
        EXPECT_THROW(must_start_ranks(8, true, started_by(launcher, 8)), base::Failure);
    }
}

TEST(LaunchOptions, ConfigsForADgxStartOneRankAGpu) {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(HOLDFAST_SOURCE_DIR "/configs")) {
        if (!entry.path().filename().string().starts_with("dgx-")) {
            continue;
        }
        ++count;
        const auto text =
            fs::read_file(fs::real_file_system(), entry.path().string(), std::uint64_t{1} << 20U);
        ASSERT_TRUE(text.ok()) << text.error().what;
        const auto resolved =
            config::resolve_settings(std::pair{entry.path().string(), text.value()}, {}, {});
        ASSERT_TRUE(resolved.ok()) << resolved.error().what;
        EXPECT_EQ(resolved.value().settings.dist.nproc_per_node, 0) << "auto";
        EXPECT_EQ(resolved.value().settings.run.device, "cuda");
    }
    EXPECT_GE(count, 1U);
}

}  // namespace
}  // namespace holdfast::cli
