#include "dist/launch_environment.h"

#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast::dist {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

using Settings = std::map<std::string, std::string>;

base::Result<LaunchEnvironment> read(const Settings& settings) {
    return read_launch_environment([&](const std::string& name) -> std::optional<std::string> {
        const auto found = settings.find(name);
        return found == settings.end() ? std::nullopt : std::optional(found->second);
    });
}

Settings with(Settings settings, const Settings& others) {
    for (const auto& [name, value] : others) {
        settings[name] = value;
    }
    return settings;
}

Settings without(Settings settings, const std::string& name) {
    settings.erase(name);
    return settings;
}

// Rank 5 of 8 on the second of two nodes, by each launcher.
const Settings kHoldfastSet = {{"HOLDFAST_RANK", "5"},
                               {"HOLDFAST_WORLD_SIZE", "8"},
                               {"HOLDFAST_LOCAL_RANK", "1"},
                               {"HOLDFAST_LOCAL_WORLD_SIZE", "4"},
                               {"HOLDFAST_NODE_RANK", "1"},
                               {"HOLDFAST_MASTER_ADDR", "node0"},
                               {"HOLDFAST_MASTER_PORT", "4000"},
                               {"HOLDFAST_RUN_TOKEN", "cafe"},
                               {"HOLDFAST_RESTART_COUNT", "2"}};
const Settings kTorchrunSet = {{"RANK", "5"},
                               {"WORLD_SIZE", "8"},
                               {"LOCAL_RANK", "1"},
                               {"LOCAL_WORLD_SIZE", "4"},
                               {"GROUP_RANK", "1"},
                               {"MASTER_ADDR", "node0"},
                               {"MASTER_PORT", "4000"}};
const Settings kOpenMpiSet = {{"OMPI_COMM_WORLD_RANK", "5"},
                              {"OMPI_COMM_WORLD_SIZE", "8"},
                              {"OMPI_COMM_WORLD_LOCAL_RANK", "1"},
                              {"OMPI_COMM_WORLD_LOCAL_SIZE", "4"},
                              {"OMPI_COMM_WORLD_NODE_RANK", "1"},
                              {"MASTER_ADDR", "node0"},
                              {"PMIX_NAMESPACE", "prte-17@1"}};
const Settings kSlurmSet = {{"SLURM_PROCID", "5"},
                            {"SLURM_NTASKS", "8"},
                            {"SLURM_STEP_NUM_TASKS", "8"},
                            {"SLURM_LOCALID", "1"},
                            {"SLURM_NODEID", "1"},
                            {"SLURM_NNODES", "2"},
                            {"SLURM_STEP_NUM_NODES", "2"},
                            {"SLURM_STEP_TASKS_PER_NODE", "4(x2)"},
                            {"SLURM_STEP_NODELIST", "gpu[07-08]"},
                            {"SLURM_JOB_ID", "4711"},
                            {"SLURM_STEP_ID", "0"}};
const RankPlace kPlace = {
    .rank = 5, .size = 8, .local_rank = 1, .local_size = 4, .node_rank = 1, .node_count = 2};

LaunchEnvironment must_read(const Settings& settings) {
    auto result = read(settings);
    EXPECT_TRUE(result.ok()) << result.error().what;
    return result.ok() ? result.value() : LaunchEnvironment{};
}

TEST(LaunchEnvironment, WithoutALauncherThereIsOneProcess) {
    const LaunchEnvironment found = must_read({{"PATH", "/bin"}, {"MASTER_ADDR", "left over"}});
    EXPECT_EQ(found.launcher, Launcher::kNone);
    EXPECT_EQ(name_of(found.launcher), "none");
    EXPECT_EQ(found.place, RankPlace{});
    EXPECT_EQ(found.token, "");
    EXPECT_THAT(found.notes, IsEmpty());
}

TEST(LaunchEnvironment, ReadsTheOwnSupervisor) {
    const LaunchEnvironment found = must_read(kHoldfastSet);
    EXPECT_EQ(name_of(found.launcher), "holdfast");
    EXPECT_EQ(found.place, kPlace);
    EXPECT_EQ(found.master_host, "node0");
    EXPECT_EQ(found.master_port, 4000);
    EXPECT_EQ(found.token, "cafe");
    EXPECT_EQ(found.restart_count, 2);
    EXPECT_FALSE(found.agent_serves_store);
    EXPECT_EQ(found.master_listen_fd, std::nullopt);
}

TEST(LaunchEnvironment, ReadsTorchrun) {
    LaunchEnvironment found = must_read(kTorchrunSet);
    EXPECT_EQ(name_of(found.launcher), "torchrun");
    EXPECT_EQ(found.place, kPlace);
    EXPECT_EQ(found.master_host, "node0");
    EXPECT_EQ(found.master_port, 4000);
    EXPECT_EQ(found.token, "none");
    EXPECT_EQ(found.restart_count, 0);
    EXPECT_FALSE(found.agent_serves_store);
    found = must_read(with(kTorchrunSet,
                           {{"TORCHELASTIC_USE_AGENT_STORE", "True"},
                            {"TORCHELASTIC_RESTART_COUNT", "3"},
                            {"TORCHELASTIC_RUN_ID", "job7"}}));
    EXPECT_TRUE(found.agent_serves_store);
    EXPECT_EQ(found.restart_count, 3);
    EXPECT_EQ(found.token, "job7");
    found = must_read(with(kTorchrunSet, {{"TORCHELASTIC_USE_AGENT_STORE", "False"}}));
    EXPECT_FALSE(found.agent_serves_store);
}

TEST(LaunchEnvironment, ReadsOpenMpi) {
    LaunchEnvironment found = must_read(kOpenMpiSet);
    EXPECT_EQ(name_of(found.launcher), "mpirun");
    EXPECT_EQ(found.place, kPlace);
    EXPECT_EQ(found.master_host, "node0");
    EXPECT_EQ(found.master_port, 29500);
    EXPECT_EQ(found.token, "prte-17@1");
    found = must_read(with(without(kOpenMpiSet, "PMIX_NAMESPACE"),
                           {{"OMPI_MCA_ess_base_jobid", "99"}, {"MASTER_PORT", "4000"}}));
    EXPECT_EQ(found.token, "99");
    EXPECT_EQ(found.master_port, 4000);
}

TEST(LaunchEnvironment, OpenMpiOnOneNodeMeetsOnLoopback) {
    const LaunchEnvironment found = must_read(
        without(with(kOpenMpiSet,
                     {{"OMPI_COMM_WORLD_LOCAL_SIZE", "8"}, {"OMPI_COMM_WORLD_LOCAL_RANK", "5"}}),
                "MASTER_ADDR"));
    EXPECT_EQ(found.place.node_count, 1);
    EXPECT_EQ(found.place.node_rank, 0);
    EXPECT_EQ(found.master_host, "127.0.0.1");
}

TEST(LaunchEnvironment, ReadsSrun) {
    LaunchEnvironment found = must_read(kSlurmSet);
    EXPECT_EQ(name_of(found.launcher), "srun");
    EXPECT_EQ(found.place, kPlace);
    EXPECT_EQ(found.master_host, "gpu07");
    EXPECT_EQ(found.master_port, 14711);
    EXPECT_EQ(found.token, "4711.0");
    found = must_read(with(kSlurmSet, {{"SLURM_STEP_ID", "3"}}));
    EXPECT_EQ(found.token, "4711.3");
    EXPECT_EQ(found.master_port, 15014);
    found = must_read(with(kSlurmSet, {{"MASTER_ADDR", "10.0.0.1"}, {"MASTER_PORT", "4000"}}));
    EXPECT_EQ(found.master_host, "10.0.0.1");
    EXPECT_EQ(found.master_port, 4000);
    found = must_read(with(kSlurmSet, {{"SLURM_JOB_ID", "4294967295"}}));
    EXPECT_EQ(found.token, "4294967295.0");
}

TEST(LaunchEnvironment, TheStepCountsInSlurmNotTheJob) {
    const LaunchEnvironment found =
        must_read(with(kSlurmSet, {{"SLURM_NTASKS", "64"}, {"SLURM_NNODES", "16"}}));
    EXPECT_EQ(found.place, kPlace);
    EXPECT_EQ(must_read(without(without(kSlurmSet, "SLURM_STEP_NUM_TASKS"), "SLURM_STEP_NUM_NODES"))
                  .place,
              kPlace);
}

TEST(LaunchEnvironment, SrunOnOneNodeMeetsOnLoopback) {
    EXPECT_EQ(must_read(without(with(kSlurmSet,
                                     {{"SLURM_STEP_NUM_NODES", "1"},
                                      {"SLURM_NODEID", "0"},
                                      {"SLURM_LOCALID", "5"},
                                      {"SLURM_STEP_TASKS_PER_NODE", "8"}}),
                                "SLURM_STEP_NODELIST"))
                  .master_host,
              "127.0.0.1");
}

TEST(LaunchEnvironment, AnAllocationWithoutSrunIsOneProcess) {
    for (const Settings& settings :
         {without(kSlurmSet, "SLURM_STEP_ID"),
          without(kSlurmSet, "SLURM_PROCID"),
          // The batch script and an interactive shell are steps of SLURM's own.
          with(kSlurmSet, {{"SLURM_STEP_ID", "4294967291"}}),
          with(kSlurmSet, {{"SLURM_STEP_ID", "4294967290"}}),
          with(kSlurmSet, {{"SLURM_STEP_NUM_TASKS", "1"}, {"SLURM_PROCID", "0"}}),
          with(without(kSlurmSet, "SLURM_STEP_NUM_TASKS"),
               {{"SLURM_NTASKS", "1"}, {"SLURM_PROCID", "0"}})}) {
        const LaunchEnvironment found = must_read(settings);
        EXPECT_EQ(found.launcher, Launcher::kNone);
        EXPECT_EQ(found.place, RankPlace{});
    }
    EXPECT_THAT(must_read(without(kSlurmSet, "SLURM_STEP_ID")).notes,
                ElementsAre("in SLURM job 4711 but not started by srun: this is a run of one "
                            "process"));
}

TEST(LaunchEnvironment, TheFirstLauncherOfTheListWins) {
    const Settings slurm = kSlurmSet;
    const Settings mpi = with(slurm, kOpenMpiSet);
    const Settings torchrun = with(mpi, kTorchrunSet);
    const Settings holdfast = with(torchrun, kHoldfastSet);
    EXPECT_EQ(must_read(slurm).launcher, Launcher::kSlurm);
    EXPECT_EQ(must_read(mpi).launcher, Launcher::kOpenMpi);
    EXPECT_EQ(must_read(torchrun).launcher, Launcher::kTorchrun);
    EXPECT_EQ(must_read(holdfast).launcher, Launcher::kHoldfast);
    EXPECT_THAT(must_read(holdfast).notes, IsEmpty()) << "all say the same rank and size";
}

TEST(LaunchEnvironment, AnotherLauncherThatSaysOtherwiseIsNoted) {
    EXPECT_THAT(must_read(with(kSlurmSet, with(kTorchrunSet, {{"SLURM_PROCID", "1"}}))).notes,
                ElementsAre("torchrun says rank 5 of 8 and is taken; the variables of srun "
                            "(SLURM_PROCID=1, SLURM_STEP_NUM_TASKS=8) say another and are not"));
    EXPECT_THAT(must_read(with(kHoldfastSet, {{"RANK", "5"}})).notes,
                ElementsAre(HasSubstr("torchrun (RANK=5, WORLD_SIZE=?)")));
}

TEST(LaunchEnvironment, AMissingVariableIsNamed) {
    for (const Settings& set : {kHoldfastSet, kTorchrunSet}) {
        for (const auto& [name, value] : set) {
            const auto result = read(without(set, name));
            ASSERT_FALSE(result.ok()) << name;
            EXPECT_EQ(result.error().kind, base::ErrorKind::kInvalid);
            EXPECT_THAT(result.error().what, HasSubstr(name + " is not set though"));
        }
    }
    for (const char* name : {"OMPI_COMM_WORLD_RANK",
                             "OMPI_COMM_WORLD_SIZE",
                             "OMPI_COMM_WORLD_LOCAL_RANK",
                             "OMPI_COMM_WORLD_LOCAL_SIZE",
                             "MASTER_ADDR"}) {
        const auto result = read(without(kOpenMpiSet, name));
        ASSERT_FALSE(result.ok()) << name;
        EXPECT_THAT(result.error().what, HasSubstr(std::string(name) + " is not set"));
    }
    for (const char* name :
         {"SLURM_LOCALID", "SLURM_NODEID", "SLURM_STEP_NODELIST", "SLURM_JOB_ID"}) {
        const auto result = read(without(kSlurmSet, name));
        ASSERT_FALSE(result.ok()) << name;
        EXPECT_THAT(result.error().what, HasSubstr(std::string(name) + " is not set"));
    }
}

TEST(LaunchEnvironment, NothingBesideANameIsAsIfItWereNotSet) {
    EXPECT_THAT(read(with(kTorchrunSet, {{"WORLD_SIZE", ""}})).error().what,
                HasSubstr("WORLD_SIZE is not set though"));
    EXPECT_EQ(must_read({{"RANK", ""}, {"WORLD_SIZE", ""}}).launcher, Launcher::kNone);
}

struct WrongSet {
    Settings settings;
    std::string message;
};

class WrongLaunchEnvironment : public testing::TestWithParam<WrongSet> {};

TEST_P(WrongLaunchEnvironment, IsRefusedInOneLine) {
    const auto result = read(GetParam().settings);
    ASSERT_FALSE(result.ok()) << GetParam().message;
    EXPECT_EQ(result.error().kind, base::ErrorKind::kInvalid);
    EXPECT_THAT(result.error().what, HasSubstr(GetParam().message));
    EXPECT_EQ(result.error().what.find('\n'), std::string::npos);
    EXPECT_THAT(result.error().what, testing::ContainsRegex("; (start|unset) .+"));
}

INSTANTIATE_TEST_SUITE_P(
    Holdfast,
    WrongLaunchEnvironment,
    testing::Values(
        WrongSet{with(kHoldfastSet, {{"HOLDFAST_RANK", "x"}}), "HOLDFAST_RANK=x"},
        WrongSet{with(kHoldfastSet, {{"HOLDFAST_RANK", "8"}}), "HOLDFAST_RANK=8"},
        WrongSet{with(kHoldfastSet, {{"HOLDFAST_RANK", "4"}}), "HOLDFAST_RANK=4 does not fit"},
        WrongSet{with(kHoldfastSet, {{"HOLDFAST_WORLD_SIZE", "0"}}), "HOLDFAST_WORLD_SIZE=0"},
        WrongSet{with(kHoldfastSet, {{"HOLDFAST_LOCAL_RANK", "4"}}), "HOLDFAST_LOCAL_RANK=4"},
        WrongSet{with(kHoldfastSet, {{"HOLDFAST_NODE_RANK", "2"}}), "HOLDFAST_NODE_RANK=2"},
        WrongSet{with(kHoldfastSet, {{"HOLDFAST_MASTER_PORT", "65536"}}), "MASTER_PORT=65536"},
        WrongSet{with(kHoldfastSet, {{"HOLDFAST_RESTART_COUNT", "-1"}}), "RESTART_COUNT=-1"},
        WrongSet{with(kHoldfastSet, {{"HOLDFAST_MASTER_LISTEN_FD", "7"}}),
                 "HOLDFAST_MASTER_LISTEN_FD is set for rank 5"}));

INSTANTIATE_TEST_SUITE_P(
    Torchrun,
    WrongLaunchEnvironment,
    testing::Values(
        WrongSet{{{"RANK", "0"}}, "WORLD_SIZE is not set though other variables of torchrun"},
        WrongSet{with(kTorchrunSet, {{"RANK", "1e1"}}), "RANK=1e1 (of torchrun) must be a whole"},
        WrongSet{with(kTorchrunSet, {{"RANK", "99999999999"}}), "RANK=99999999999"},
        WrongSet{with(kTorchrunSet, {{"RANK", " 5"}}), "RANK= 5"},
        WrongSet{with(kTorchrunSet, {{"RANK", "a\nb"}}), "RANK=a\\x0Ab"},
        WrongSet{with(kTorchrunSet, {{"RANK", "8"}}),
                 "RANK=8 (of torchrun) must be a whole "
                 "number from 0 to 7"},
        WrongSet{with(kTorchrunSet, {{"WORLD_SIZE", "6"}}),
                 "WORLD_SIZE=6 is no multiple of the 4 ranks on this node"},
        WrongSet{with(kTorchrunSet, {{"LOCAL_RANK", "4"}}), "LOCAL_RANK=4"},
        WrongSet{with(kTorchrunSet, {{"LOCAL_WORLD_SIZE", "9"}}), "LOCAL_WORLD_SIZE=9"},
        WrongSet{with(kTorchrunSet, {{"GROUP_RANK", "0"}}), "RANK=5 does not fit LOCAL_RANK=1"},
        WrongSet{with(kTorchrunSet, {{"GROUP_RANK", "8"}}), "GROUP_RANK=8"},
        WrongSet{with(kTorchrunSet, {{"MASTER_PORT", "0"}}), "MASTER_PORT=0"},
        WrongSet{with(kTorchrunSet, {{"TORCHELASTIC_RESTART_COUNT", "x"}}),
                 "TORCHELASTIC_RESTART_COUNT=x"}));

INSTANTIATE_TEST_SUITE_P(
    OpenMpi,
    WrongLaunchEnvironment,
    testing::Values(WrongSet{with(kOpenMpiSet, {{"OMPI_COMM_WORLD_RANK", "8"}}),
                             "OMPI_COMM_WORLD_RANK=8"},
                    WrongSet{with(kOpenMpiSet, {{"OMPI_COMM_WORLD_SIZE", "7"}}),
                             "OMPI_COMM_WORLD_SIZE=7 is no multiple"},
                    WrongSet{with(kOpenMpiSet, {{"OMPI_COMM_WORLD_LOCAL_RANK", "2"}}),
                             "OMPI_COMM_WORLD_RANK=5 does not fit OMPI_COMM_WORLD_LOCAL_RANK=2"},
                    WrongSet{with(kOpenMpiSet, {{"MASTER_PORT", "http"}}), "MASTER_PORT=http"}));

INSTANTIATE_TEST_SUITE_P(
    Slurm,
    WrongLaunchEnvironment,
    testing::Values(
        WrongSet{with(kSlurmSet, {{"SLURM_PROCID", "8"}}), "SLURM_PROCID=8"},
        WrongSet{with(kSlurmSet, {{"SLURM_STEP_NUM_TASKS", "7"}}), "7 tasks on 2 nodes"},
        WrongSet{with(kSlurmSet, {{"SLURM_STEP_TASKS_PER_NODE", "5,3"}}),
                 "(SLURM_STEP_TASKS_PER_NODE=5,3): every node must have equally many"},
        WrongSet{with(kSlurmSet, {{"SLURM_LOCALID", "4"}}), "SLURM_LOCALID=4"},
        WrongSet{with(kSlurmSet, {{"SLURM_NODEID", "0"}}), "SLURM_PROCID=5 does not fit"},
        WrongSet{with(kSlurmSet, {{"SLURM_STEP_NUM_NODES", "9"}}), "SLURM_STEP_NUM_NODES=9"},
        WrongSet{with(kSlurmSet, {{"SLURM_STEP_NODELIST", "a[1-"}}), "SLURM_STEP_NODELIST=a[1-"},
        WrongSet{with(kSlurmSet, {{"SLURM_JOB_ID", "4711_3"}}), "SLURM_JOB_ID=4711_3"},
        WrongSet{with(kSlurmSet, {{"SLURM_STEP_ID", "batch"}}), "SLURM_STEP_ID=batch"}));

TEST(LaunchEnvironment, TheOwnEnvironmentIsLookedUp) {
    ASSERT_EQ(::setenv("HOLDFAST_TEST_VARIABLE", "here", 1), 0);
    EXPECT_EQ(process_environment("HOLDFAST_TEST_VARIABLE"), "here");
    ASSERT_EQ(::unsetenv("HOLDFAST_TEST_VARIABLE"), 0);
    EXPECT_EQ(process_environment("HOLDFAST_TEST_VARIABLE"), std::nullopt);
}

}  // namespace
}  // namespace holdfast::dist
