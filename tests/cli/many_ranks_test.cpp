// P4: the rank count does not change the bits; with P2: nor does changing it on the way.
#include "cli/many_ranks.h"

#include <functional>
#include <memory>
#include <ostream>

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/listening_addresses.h"

namespace holdfast::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

struct Variant {
    const char* name;
    std::vector<std::string> options;
};

void PrintTo(const Variant& variant, std::ostream* out) {
    *out << variant.name;
}

class RankCounts : public ManyRanks, public testing::WithParamInterface<Variant> {};

TEST_P(RankCounts, P4_OneTwoAndFourRanksGiveTheSameBits) {
    const Outcome alone = train("one", options_of(1, GetParam().options));
    ASSERT_EQ(alone.exit_code, 0) << alone.log;
    ASSERT_EQ(exact_lines("one").size(), 50U);
    for (const int ranks : {2, 4}) {
        const std::string name = std::to_string(ranks);
        const Outcome shared = train(name, options_of(ranks, GetParam().options));
        ASSERT_EQ(shared.exit_code, 0) << shared.log;
        EXPECT_EQ(exact_lines(name), exact_lines("one"));
        EXPECT_EQ(hash_of(name), hash_of("one"));
    }
}

INSTANTIATE_TEST_SUITE_P(
    Train,
    RankCounts,
    testing::Values(Variant{"Fp32", {"--precision", "fp32"}},
                    Variant{"Bf16", {"--precision", "bf16"}},
                    Variant{"HardClip", {"--precision", "fp32", "--grad-clip", "0.05"}},
                    Variant{"NoDropoutNoClip",
                            {"--precision", "bf16", "--dropout", "0", "--grad-clip", "0"}},
                    Variant{"AccumulatesInALane", {"--precision", "bf16", "--micro-batch", "1"}}),
    [](const auto& variant) { return variant.param.name; });

TEST_F(ManyRanks, P4_FourThenOneThenTwoEndWithTheBitsOfTheStraightRun) {
    const Outcome straight = train("straight", options_of(1));
    ASSERT_EQ(straight.exit_code, 0) << straight.log;

    const auto stop_at = [&](int ranks, std::int64_t step, int number) {
        RunningProgram program(train_words("changed", options_of(ranks)), directory_.path());
        EXPECT_TRUE(program.wait_for_step(metrics_path("changed"), step));
        program.send_signal(number);
        return program.finish();
    };
    const Outcome four = stop_at(4, 9, SIGTERM);
    EXPECT_EQ(four.exit_code, 143) << four.log;
    const Outcome one = stop_at(1, 23, SIGINT);
    EXPECT_EQ(one.exit_code, 130) << one.log;
    const Outcome two = stop_at(2, 35, SIGHUP);
    EXPECT_EQ(two.exit_code, 75) << two.log;
    const Outcome killed = stop_at(4, 44, SIGKILL);
    EXPECT_EQ(killed.exit_code, 128 + SIGKILL) << killed.log;
    const Outcome last = train("changed", options_of(2, {"--resume", "latest"}));
    ASSERT_EQ(last.exit_code, 0) << last.log;

    EXPECT_EQ(exact_lines("changed"), exact_lines("straight"));
    EXPECT_EQ(hash_of("changed"), hash_of("straight"));
    const Outcome verified = run_program({"checkpoints", "verify", run_directory("changed")});
    EXPECT_EQ(verified.exit_code, 0) << verified.log;
}

TEST_F(ManyRanks, RankCountsThatDoNotFitTheLanesAreRefusedAndTheValidOnesNamed) {
    const Outcome outcome = train("three", options_of(3));
    EXPECT_EQ(outcome.exit_code, 2);
    EXPECT_THAT(outcome.log, HasSubstr("3 ranks cannot share the 4 lanes"));
    EXPECT_THAT(outcome.log, HasSubstr("1, 2, 4 can"));
}

TEST_F(ManyRanks, TheConfigFileMayStartThemAndTheCommandLineHasTheLastWord) {
    configure_ranks("2");
    const Outcome two = train("two", options_of_each({"--max-steps", "2"}));
    ASSERT_EQ(two.exit_code, 0) << two.log;
    EXPECT_THAT(two.log, HasSubstr("ranks   2 (2 on each of 1 node(s)), started by holdfast"));
    const Outcome one = train("one", options_of(1, {"--max-steps", "2"}));
    ASSERT_EQ(one.exit_code, 0) << one.log;
    EXPECT_THAT(one.log, Not(HasSubstr("started by")));
    EXPECT_EQ(hash_of("one"), hash_of("two"));
}

TEST_F(ManyRanks, AutoOnTheCpuIsOneAndSaysSo) {
    configure_ranks("\"auto\"");
    const Outcome outcome = train("auto", options_of_each({"--max-steps", "2"}));
    ASSERT_EQ(outcome.exit_code, 0) << outcome.log;
    EXPECT_THAT(outcome.log,
                HasSubstr("ranks   one, on the CPU: auto counts GPUs; --nproc-per-node N starts"));
    EXPECT_THAT(outcome.log, Not(HasSubstr("started by")));
}

TEST_F(ManyRanks, AutoOnGpusThatAreNotThereSaysThat) {
    if (::access("/dev/nvidiactl", F_OK) == 0) {
        GTEST_SKIP() << "this machine may have a GPU";
    }
    configure_ranks("\"auto\"");
    const Outcome outcome = train("none", options_of_each({"--device", "cuda"}));
    EXPECT_EQ(outcome.exit_code, 2);
    EXPECT_THAT(outcome.log, HasSubstr("error: device is cuda, but"));
    EXPECT_EQ(lines_of(outcome.log).size(), 1U) << outcome.log;
}

TEST_F(ManyRanks, ADryRunPrintsOneTableForAll) {
    const Outcome outcome = train("dry", options_of(2, {"--dry-run", "--lanes", "auto"}));
    ASSERT_EQ(outcome.exit_code, 0) << outcome.log;
    std::int64_t tables = 0;
    for (const std::string& line : lines_of(outcome.out)) {
        tables += line.find("batch.lanes") == std::string::npos ? 0 : 1;
        if (line.find("batch.lanes") != std::string::npos) {
            EXPECT_THAT(line, HasSubstr(" 2 ")) << "as many as ranks";
        }
    }
    EXPECT_EQ(tables, 1) << outcome.out;
}

TEST_F(ManyRanks, TheResumeCommandStartsAsMany) {
    const Outcome outcome = train("two", options_of(2, {"--max-steps", "2"}));
    ASSERT_EQ(outcome.exit_code, 0) << outcome.log;
    const Outcome command = run_program({"checkpoints", "resume-command", run_directory("two")});
    EXPECT_THAT(command.out, HasSubstr("--dist.nproc_per_node=2 "));
}

TEST_F(ManyRanks, LanesLeftOpenAreAsManyAsRanks) {
    const Outcome outcome = train("auto",
                                  {"--nproc-per-node",
                                   "2",
                                   "--threads",
                                   "1",
                                   "--micro-batch",
                                   "3",
                                   "--warmup-steps",
                                   "1",
                                   "--max-steps",
                                   "3"});
    ASSERT_EQ(outcome.exit_code, 0) << outcome.log;
    EXPECT_THAT(outcome.log, HasSubstr("2 lane(s)"));
}

TEST_F(ManyRanks, AFinishedRunThatIsStartedAgainEndsAtOnce) {
    const std::vector<std::string> options =
        options_of(2, {"--max-steps", "3", "--warmup-steps", "1"});
    const Outcome first = train("finished", options);
    ASSERT_EQ(first.exit_code, 0) << first.log;
    const Outcome again = train("finished", options);
    EXPECT_EQ(again.exit_code, 0) << again.log;
    EXPECT_THAT(again.log, HasSubstr("the run is finished: "));
}

TEST_F(ManyRanks, ADamagedPartIsFoundByTheRankThatLoadsItAndAllFallBack) {
    const Outcome first =
        train("damaged", options_of(2, {"--max-steps", "40", "--set", "checkpoint.backup=off"}));
    ASSERT_EQ(first.exit_code, 0) << first.log;
    // In what rank 1 owns of the last checkpoint, and only there.
    const std::string part =
        run_directory("damaged") + "/rolling/step_00000040/optimizer-00002-of-00002.safetensors";
    std::string bytes = read_text(part);
    ASSERT_FALSE(bytes.empty());
    bytes.at(bytes.size() - 5) = static_cast<char>(bytes.at(bytes.size() - 5) ^ 1);
    ASSERT_EQ(::chmod(part.c_str(), 0644), 0);
    write_text(part, bytes);
    const Outcome second = train("damaged", options_of(2));
    ASSERT_EQ(second.exit_code, 0) << second.log;
    EXPECT_THAT(second.log, HasSubstr("fell back"));
    const Outcome straight = train("straight", options_of(1));
    ASSERT_EQ(straight.exit_code, 0) << straight.log;
    EXPECT_EQ(hash_of("damaged"), hash_of("straight"));
}

class Chaos : public ManyRanks {
protected:
    // Trains on four ranks with restarts, does `harm` to rank `rank` once step `step` is logged,
    // and sees the run end with the bits of one that nobody harmed.
    void harm_rank(std::size_t rank, std::int64_t step, int signal_number) {
        const Outcome straight = train("straight", options_of(1));
        ASSERT_EQ(straight.exit_code, 0) << straight.log;
        RunningProgram program(
            train_words(
                "harmed",
                options_of(
                    4,
                    {"--max-restarts", "2", "--stop-deadline", "5", "--set", "dist.lost_after=3"})),
            directory_.path());
        ASSERT_TRUE(program.wait_for_step(metrics_path("harmed"), step));
        const std::vector<pid_t> ranks = program.children();
        ASSERT_EQ(ranks.size(), 4U);
        ASSERT_EQ(::kill(ranks.at(rank), signal_number), 0);
        const Outcome outcome = program.finish();
        EXPECT_EQ(outcome.exit_code, 0) << outcome.log;
        EXPECT_THAT(outcome.log, HasSubstr("restart 1 of 2"));
        log_ = outcome.log;
        EXPECT_EQ(exact_lines("harmed"), exact_lines("straight"));
        EXPECT_EQ(hash_of("harmed"), hash_of("straight"));
    }

    std::string log_;
};

TEST_F(Chaos, P2_AKilledRankIsNamedAndTheRunGoesOnWithTheSameBits) {
    harm_rank(2, 25, SIGKILL);
    EXPECT_THAT(log_, HasSubstr("rank 2 (process"));
    EXPECT_THAT(log_, HasSubstr("was killed by SIGKILL"));
}

TEST_F(Chaos, P2_AFrozenRankIsNamedAndTheRunGoesOnWithTheSameBits) {
    harm_rank(3, 25, SIGSTOP);
    EXPECT_THAT(log_, HasSubstr("has not answered for"));
}

TEST_F(Chaos, P2_RankZeroMayDieToo) {
    harm_rank(0, 25, SIGKILL);
}

TEST_F(Chaos, P2_WithoutARankThatIsLostTwiceTheRunGoesOnWithTheSameBits) {
    const Outcome straight = train("straight", options_of(1));
    ASSERT_EQ(straight.exit_code, 0) << straight.log;
    RunningProgram program(
        train_words("lost", options_of(4, {"--max-restarts", "2", "--min-ranks", "2"})),
        directory_.path());
    for (const std::int64_t step : {12, 30}) {
        ASSERT_TRUE(program.wait_for_step(metrics_path("lost"), step));
        const std::vector<pid_t> ranks = program.children();
        ASSERT_EQ(ranks.size(), 4U);
        ASSERT_EQ(::kill(ranks.at(1), SIGKILL), 0);
    }
    const Outcome outcome = program.finish();
    EXPECT_EQ(outcome.exit_code, 0) << outcome.log;
    EXPECT_THAT(outcome.log, HasSubstr("restart 1 of 2 with 4 ranks\n"));
    EXPECT_THAT(outcome.log,
                HasSubstr("restart 2 of 2 with 2 ranks (before: 4): what failed the last two "
                          "starts, slot 1, is left out\n"));
    EXPECT_EQ(exact_lines("lost"), exact_lines("straight"));
    EXPECT_EQ(hash_of("lost"), hash_of("straight"));
}

TEST_F(ManyRanks, ARankBearsTheNameOfTheProgram) {
    RunningProgram program(train_words("named", options_of(2)), directory_.path());
    ASSERT_TRUE(program.wait_for_step(metrics_path("named"), 1));
    const std::vector<pid_t> ranks = program.children();
    ASSERT_EQ(ranks.size(), 2U);
    for (const pid_t rank : ranks) {
        EXPECT_EQ(read_text("/proc/" + std::to_string(rank) + "/comm"), "holdfast\n");
    }
    EXPECT_EQ(program.finish().exit_code, 0);
}

TEST_F(ManyRanks, AfterAFailureTheOthersHaveTheStopDeadlineToEnd) {
    RunningProgram program(
        train_words("failed", options_of(2, {"--max-steps", "100000", "--stop-deadline", "45s"})),
        directory_.path());
    ASSERT_TRUE(program.wait_for_step(metrics_path("failed"), 1));
    const std::vector<pid_t> ranks = program.children();
    ASSERT_EQ(ranks.size(), 2U);
    ASSERT_EQ(::kill(ranks.at(0), SIGSTOP), 0) << "it must not end before the supervisor looks";
    ASSERT_EQ(::kill(ranks.at(1), SIGKILL), 0);
    EXPECT_TRUE(program.wait_for_log("rank 0 may take 45s to end"));
    ASSERT_EQ(::kill(ranks.at(0), SIGCONT), 0);
    const Outcome outcome = program.finish();
    EXPECT_EQ(outcome.exit_code, 1) << outcome.log;
}

TEST_F(ManyRanks, ASignalAtOneRankStopsAllAndSaves) {
    RunningProgram program(train_words("stopped", options_of(4, {"--max-steps", "50"})),
                           directory_.path());
    ASSERT_TRUE(program.wait_for_step(metrics_path("stopped"), 10));
    ASSERT_EQ(program.children().size(), 4U);
    ASSERT_EQ(::kill(program.children().at(3), SIGTERM), 0);
    const Outcome outcome = program.finish();
    EXPECT_EQ(outcome.exit_code, 143) << outcome.log;
    EXPECT_THAT(outcome.log, HasSubstr("stopped by SIGTERM; step "));
    EXPECT_THAT(outcome.log, HasSubstr("is saved as "));
}

TEST_F(ManyRanks, OnOneMachineNobodyElseCanReachThem) {
    RunningProgram program(train_words("closed", options_of(2, {"--max-steps", "50"})),
                           directory_.path());
    ASSERT_TRUE(program.wait_for_step(metrics_path("closed"), 5));
    std::size_t count = 0;
    for (const pid_t rank : program.children()) {
        for (const std::string& address : listening_addresses(rank)) {
            EXPECT_EQ(address, "0100007F") << "127.0.0.1";
            ++count;
        }
    }
    EXPECT_GE(count, 3U) << "the store, and gloo of each rank";
    EXPECT_EQ(program.finish().exit_code, 0);
}

// Variables of rank `rank` of two, as torchrun leaves them.
std::vector<std::string> torchrun_environment(int rank, const std::string& port) {
    return {"RANK=" + std::to_string(rank),
            "LOCAL_RANK=" + std::to_string(rank),
            "WORLD_SIZE=2",
            "LOCAL_WORLD_SIZE=2",
            "GROUP_RANK=0",
            "MASTER_ADDR=127.0.0.1",
            "MASTER_PORT=" + port};
}

// Starts the program once a rank, as another launcher would.
class OtherLauncher : public ManyRanks {
protected:
    void start_ranks(const std::function<std::vector<std::string>(int rank)>& environment_of,
                     const std::string& launcher) {
        const std::vector<std::string> words = train_words(launcher, options_of_each());
        std::string log_of_0;
        std::vector<std::unique_ptr<RunningProgram>> ranks;
        for (const int rank : {1, 0}) {
            const std::string folder = directory_ / (launcher + std::to_string(rank) + ".out");
            ASSERT_EQ(::mkdir(folder.c_str(), 0755), 0);
            ranks.push_back(std::make_unique<RunningProgram>(words, folder, environment_of(rank)));
        }
        for (const auto& rank : ranks) {
            const Outcome outcome = rank->finish();
            EXPECT_EQ(outcome.exit_code, 0) << outcome.log;
            log_of_0 = outcome.log;
        }
        EXPECT_THAT(log_of_0, HasSubstr("started by " + launcher));
        const Outcome alone = train("alone", options_of(1));
        ASSERT_EQ(alone.exit_code, 0) << alone.log;
        EXPECT_EQ(hash_of(launcher), hash_of("alone"));
    }
};

TEST_F(OtherLauncher, P4_TorchrunsVariablesAreUnderstood) {
    const std::string port = free_port();
    start_ranks([&](int rank) { return torchrun_environment(rank, port); }, "torchrun");
}

class ConfiguredRanks : public OtherLauncher, public testing::WithParamInterface<const char*> {};

TEST_P(ConfiguredRanks, AreLeftToALauncherThatHasStartedThem) {
    configure_ranks(GetParam());
    const std::string port = free_port();
    start_ranks([&](int rank) { return torchrun_environment(rank, port); }, "torchrun");
}

INSTANTIATE_TEST_SUITE_P(Train,
                         ConfiguredRanks,
                         testing::Values("\"auto\"", "4"),
                         [](const auto& count) {
                             return std::string(count.param) == "4" ? "Four" : "Auto";
                         });

TEST_F(OtherLauncher, RanksAskedForAsWellAreRefused) {
    const Outcome outcome =
        run_program(train_words("both", options_of(2)), torchrun_environment(0, free_port()));
    EXPECT_EQ(outcome.exit_code, 2);
    EXPECT_THAT(outcome.log, HasSubstr("torchrun has started 2 ranks already"));
}

TEST_F(OtherLauncher, P4_MpirunsVariablesAreUnderstood) {
    const std::string port = free_port();
    start_ranks(
        [&](int rank) {
            return std::vector<std::string>{"OMPI_COMM_WORLD_RANK=" + std::to_string(rank),
                                            "OMPI_COMM_WORLD_LOCAL_RANK=" + std::to_string(rank),
                                            "OMPI_COMM_WORLD_SIZE=2",
                                            "OMPI_COMM_WORLD_LOCAL_SIZE=2",
                                            "PMIX_NAMESPACE=test",
                                            "MASTER_PORT=" + port};
        },
        "mpirun");
}

TEST_F(OtherLauncher, ARankWithOtherSettingsIsNamedWithWhatDiffers) {
    const std::string port = free_port();
    std::vector<std::unique_ptr<RunningProgram>> ranks;
    for (const int rank : {1, 0}) {
        const std::string folder = directory_ / ("rank" + std::to_string(rank));
        ASSERT_EQ(::mkdir(folder.c_str(), 0755), 0);
        ranks.push_back(std::make_unique<RunningProgram>(
            train_words("differs", options_of(1, {"--seed", rank == 0 ? "7" : "8"})),
            folder,
            torchrun_environment(rank, port)));
    }
    for (const auto& rank : ranks) {
        const Outcome outcome = rank->finish();
        EXPECT_EQ(outcome.exit_code, 2) << outcome.log;
        EXPECT_THAT(outcome.log, HasSubstr("rank 1 differs from rank 0: seed is 8 there and 7"));
    }
    EXPECT_NE(::access(run_directory("differs").c_str(), F_OK), 0) << "nothing is changed";
}

}  // namespace
}  // namespace holdfast::cli
