#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "cli/small_run.h"

namespace holdfast::cli {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

class CheckpointsCommand : public SmallRun {
protected:
    [[nodiscard]] std::string in_run(const std::string& name) const {
        return run_directory("run") + '/' + name;
    }
    [[nodiscard]] Outcome checkpoints(const std::string& action,
                                      const std::vector<std::string>& more = {}) const {
        std::vector<std::string> words = {"checkpoints", action, run_directory("run")};
        words.insert(words.end(), more.begin(), more.end());
        return run_program(words);
    }
    // Without second copies unless `more` speaks of them.
    void train_run(std::vector<std::string> more = {}) {
        if (std::find(more.begin(), more.end(), "--backup") == more.end()) {
            more.insert(more.end(), {"--backup", "off"});
        }
        const Outcome trained = train("run", more);
        ASSERT_EQ(trained.exit_code, 0) << trained.log;
    }
    // Names of all that is in the pools, quarantine and trash of the run.
    [[nodiscard]] std::set<std::string> names() const {
        std::set<std::string> names;
        for (const char* pool :
             {"rolling", "emergency", "best", "epoch", "keep", "quarantine", ".trash"}) {
            for (const auto& entry : std::filesystem::directory_iterator(in_run(pool))) {
                names.insert(std::string(pool) + '/' + entry.path().filename().string());
            }
        }
        return names;
    }
    // Another last byte in a tensor file.
    void damage(const std::string& entry) const {
        const std::string path = in_run(entry) + "/model.safetensors";
        std::filesystem::permissions(
            path, std::filesystem::perms::owner_write, std::filesystem::perm_options::add);
        std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
        file.seekg(-1, std::ios::end);
        const int byte = file.get();
        file.seekp(-1, std::ios::end);
        file.put(static_cast<char>(byte ^ 1));
        ASSERT_TRUE(file.good()) << path;
    }
    // Blocks of the folders that hold checkpoints, each file once.
    [[nodiscard]] std::uint64_t disk_bytes() const {
        std::set<ino_t> seen;
        std::uint64_t bytes = 0;
        for (const auto& entry :
             std::filesystem::recursive_directory_iterator(run_directory("run"))) {
            struct ::stat status {};
            const std::string path = entry.path();
            const bool counts = path.find("tensorboard") == std::string::npos &&
                                entry.path().parent_path() != run_directory("run");
            if (counts && ::lstat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
                seen.insert(status.st_ino).second) {
                bytes += static_cast<std::uint64_t>(status.st_blocks) * 512;
            }
        }
        return bytes;
    }
};

TEST_F(CheckpointsCommand, ListGroupsByReasonAndSaysHowFullTheDiskIs) {
    train_run();
    std::filesystem::create_directories(in_run("quarantine/000001_rolling_step_00000009"));
    write_text(in_run("quarantine/000001_rolling_step_00000009/checkpoint.json"), "torn");
    const Outcome list = checkpoints("list");
    ASSERT_EQ(list.exit_code, 0) << list.log;
    std::vector<std::string> titles;
    for (const std::string& line : lines_of(list.out)) {
        EXPECT_LE(line.size(), 100U) << line;
        if (!line.empty() && line.front() != ' ' && line.find(' ') == std::string::npos) {
            titles.push_back(line);
        }
    }
    EXPECT_THAT(titles, ::testing::ElementsAre("best", "rolling", "epoch", "quarantine"));
    EXPECT_THAT(list.out, HasSubstr("\nlatest (rolling)\n  step_00000060 "));
    EXPECT_THAT(list.out, HasSubstr("\n* step_00000060 "));
    EXPECT_THAT(list.out, HasSubstr("\n* the best now\n"));
    EXPECT_THAT(list.out, Not(HasSubstr("superseded")));
    EXPECT_THAT(list.out, HasSubstr("% full"));
    const auto report = json::parse(checkpoints("list", {"--json"}).out);
    EXPECT_EQ(report.at("total_bytes"), disk_bytes());
    EXPECT_EQ(report.at("latest"), "rolling/step_00000060");
    EXPECT_GT(report.at("quarantine_bytes"), 0);
    EXPECT_GT(report.at("disk").at("total_bytes"), report.at("available_bytes"));
    for (const auto& entry : report.at("checkpoints")) {
        EXPECT_EQ(entry.at("bytes").get<int>(),
                  entry.at("own_bytes").get<int>() + entry.at("shared_bytes").get<int>());
    }
}

TEST_F(CheckpointsCommand, ListMarksLineageSupersededAndDamaged) {
    train_run();
    ASSERT_EQ(train("run", {"--resume", "20"}).exit_code, 0);
    // The longest name there is: of an emergency, in a later lineage, and of one that was left
    // behind.
    for (const char* name : {"step_00000040_20261122_140501", "step_00000060_20261122_140502-r2"}) {
        const std::string from = std::string(name).substr(0, 13) + std::string(name).substr(29);
        std::filesystem::copy(in_run("rolling/" + from), in_run("emergency/") + name);
    }
    std::filesystem::resize_file(in_run("rolling/step_00000000/checkpoint.json"), 100);
    const Outcome list = checkpoints("list");
    for (const std::string& line : lines_of(list.out)) {
        EXPECT_TRUE(line.size() <= 100U || line.find("damaged: ") != std::string::npos) << line;
    }
    EXPECT_THAT(list.out, HasSubstr("\n~ step_00000040_20261122_140501 "));
    EXPECT_THAT(list.out, HasSubstr("\n  step_00000060_20261122_140502-r2 "));
    EXPECT_THAT(list.out, HasSubstr("\n~ superseded: a rollback left it behind\n"));
    EXPECT_THAT(list.out, HasSubstr("damaged: "));
    for (const auto& entry : json::parse(checkpoints("list", {"--json"}).out).at("checkpoints")) {
        if (entry.at("usable") == true) {
            EXPECT_EQ(entry.at("superseded").get<bool>(),
                      entry.at("lineage") == 1 && entry.at("step") > 20)
                << entry;
        } else {
            EXPECT_EQ(entry.at("name"), "step_00000000");
        }
    }
}

TEST_F(CheckpointsCommand, VerifyReadsEachFileOnceAndQuarantineDoesNotCount) {
    train_run();
    const Outcome sound = checkpoints("verify");
    EXPECT_EQ(sound.exit_code, 0) << sound.out;
    EXPECT_THAT(sound.out, HasSubstr("same files as "));
    EXPECT_THAT(sound.out, HasSubstr("GB/s): all sound"));
    std::filesystem::copy(in_run("rolling/step_00000020"),
                          in_run("quarantine/000001_rolling_step_00000020"),
                          std::filesystem::copy_options::recursive);
    damage("quarantine/000001_rolling_step_00000020");
    EXPECT_EQ(checkpoints("verify").exit_code, 0);
    damage("rolling/step_00000060");
    const Outcome damaged = checkpoints("verify", {"--json", "--threads", "3"});
    EXPECT_EQ(damaged.exit_code, 3);
    const auto report = json::parse(damaged.out);
    std::set<std::string> wrong;
    for (const auto& entry : report.at("checkpoints")) {
        if (entry.at("verdict") != "sound") {
            wrong.insert(entry.at("label"));
        }
    }
    EXPECT_THAT(wrong, ::testing::Contains("rolling/step_00000060"));
    EXPECT_EQ(report.at("damaged"), wrong.size());
    EXPECT_EQ(report.at("quarantine").at(0).at("verdict"), "damaged");
    EXPECT_EQ(checkpoints("verify", {"--threads", "0"}).exit_code, 2);
}

TEST_F(CheckpointsCommand, P7_WrongDirectoryIsOneLineAndExitThree) {
    std::filesystem::create_directories(directory_ / "other/things");
    write_text(directory_ / "other/notes.txt", "x");
    for (const std::string& path :
         {directory_ / "no such place", directory_ / "other", directory_ / "other/notes.txt"}) {
        for (const std::vector<std::string>& words : {std::vector<std::string>{"list", path},
                                                      {"verify", path},
                                                      {"clean", path, "--yes"},
                                                      {"hash", path},
                                                      {"resume-command", path},
                                                      {"copy", path, directory_ / "copy"}}) {
            std::vector<std::string> all = {"checkpoints"};
            all.insert(all.end(), words.begin(), words.end());
            const Outcome outcome = run_program(all);
            EXPECT_EQ(outcome.exit_code, 3) << words.front() << ' ' << path;
            EXPECT_EQ(lines_of(outcome.log).size(), 1U) << outcome.log;
            EXPECT_THAT(outcome.log, HasSubstr(path));
            EXPECT_EQ(outcome.out, "");
        }
    }
    EXPECT_FALSE(std::filesystem::exists(directory_ / "other/lock"));
}

TEST_F(CheckpointsCommand, P7_UnknownActionNamesTheNearest) {
    const Outcome typo = run_program({"checkpoints", "lst", "somewhere"});
    EXPECT_EQ(typo.exit_code, 2);
    EXPECT_THAT(typo.log, HasSubstr("did you mean 'list'?"));
    EXPECT_EQ(run_program({"checkpoints", "list"}).exit_code, 2);
    EXPECT_EQ(run_program({"checkpoints", "list", "--yes", "x"}).exit_code, 2);
    EXPECT_EQ(run_program({"checkpoints"}).exit_code, 2);
}

TEST_F(CheckpointsCommand, HelpHasAnExampleOfEachAction) {
    const Outcome help = run_program({"checkpoints", "--help"});
    EXPECT_EQ(help.exit_code, 0);
    for (const char* action : {"list", "verify", "clean", "copy", "hash", "resume-command"}) {
        const std::string example = fmt::format("holdfast checkpoints {} checkpoints/demo", action);
        EXPECT_THAT(help.out, HasSubstr(example));
        const Outcome own = run_program({"checkpoints", action, "--help"});
        EXPECT_EQ(own.exit_code, 0);
        EXPECT_THAT(own.out, HasSubstr(example));
    }
}

TEST_F(CheckpointsCommand, CleanKeepsNewestBestAndEpochsAndTheRunGoesOn) {
    train_run({"--max-steps", "40", "--interval", "10", "--eval-interval", "15"});
    std::filesystem::create_directories(in_run(".pending-00000000000000ff"));
    write_text(in_run(".pending-00000000000000ff/model.safetensors"), "half");
    write_text(in_run("rolling/notes.txt"), "mine");
    const std::string hash = hash_of("run");
    const std::set<std::string> before = names();
    const auto report = json::parse(checkpoints("list", {"--json"}).out);
    const std::string best = report.at("best");
    const std::uint64_t bytes_before = disk_bytes();

    const Outcome dry = checkpoints("clean", {"--dry-run"});
    ASSERT_EQ(dry.exit_code, 0) << dry.log;
    EXPECT_THAT(dry.out, HasSubstr("rolling/notes.txt"));
    EXPECT_EQ(names(), before);
    const auto plan = json::parse(checkpoints("clean", {"--dry-run", "--json"}).out);

    const Outcome refused = checkpoints("clean");
    EXPECT_EQ(refused.exit_code, 2);
    EXPECT_THAT(refused.log, HasSubstr("--yes"));
    EXPECT_EQ(names(), before);

    const Outcome cleaned = checkpoints("clean", {"--yes"});
    ASSERT_EQ(cleaned.exit_code, 0) << cleaned.log;
    EXPECT_EQ(names(),
              (std::set<std::string>{
                  best, "epoch/epoch_00001", "rolling/notes.txt", "rolling/step_00000040"}));
    EXPECT_FALSE(std::filesystem::exists(in_run(".pending-00000000000000ff")));
    EXPECT_EQ(bytes_before - disk_bytes(), plan.at("bytes_to_free").get<std::uint64_t>());
    EXPECT_EQ(hash_of("run"), hash);
    EXPECT_EQ(checkpoints("verify").exit_code, 0);
    EXPECT_EQ(train("run", {"--max-steps", "45", "--resume", "latest"}).exit_code, 0);
}

// Everything below `root`.
std::set<std::string> tree(const std::string& root) {
    std::set<std::string> tree;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
        tree.insert(entry.path().string());
    }
    return tree;
}

// In `backups`: a copy of an entry that is older than the newest, and what crashes leave.
void add_old_copy_and_leftovers(const std::string& entry, const std::string& backups) {
    std::filesystem::copy(
        entry, backups + "/rolling/step_00000010", std::filesystem::copy_options::recursive);
    for (const char* folder : {"/.pending-00000000000000ff",
                               "/.trash/00000000000000fe",
                               "/quarantine/000001_backup_best_step_00000005"}) {
        std::filesystem::create_directories(backups + folder);
        write_text(backups + folder + "/model.safetensors", "half");
    }
    write_text(backups + "/quarantine/000001_backup_best_step_00000005/.why",
               "backup/best/step_00000005: a chunk differs\n");
}

TEST_F(CheckpointsCommand, CleanTakesLeftoversOfTheBackupsInTheRun) {
    train_run({"--max-steps", "20", "--interval", "10", "--eval-interval", "0", "--backup", "on"});
    const std::set<std::string> before = tree(in_run("backup"));
    add_old_copy_and_leftovers(in_run("rolling/step_00000010"), in_run("backup"));
    const Outcome list = checkpoints("list");
    EXPECT_THAT(list.out, HasSubstr("backup/best/step_00000005: a chunk differs"));
    const std::uint64_t bytes_before = disk_bytes();
    const auto plan = json::parse(checkpoints("clean", {"--dry-run", "--json"}).out);
    const Outcome cleaned = checkpoints("clean", {"--yes"});
    ASSERT_EQ(cleaned.exit_code, 0) << cleaned.log;
    std::set<std::string> after = tree(in_run("backup"));
    EXPECT_EQ(after.erase(in_run("backup/quarantine")), 1U) << "the folder itself stays";
    EXPECT_EQ(after, before);
    EXPECT_TRUE(std::filesystem::exists(in_run("backup/rolling/step_00000020")));
    EXPECT_EQ(bytes_before - disk_bytes(), plan.at("bytes_to_free").get<std::uint64_t>());
}

// Of another run, in this one's backup/: known by its mark, or by its entries alone.
TEST_F(CheckpointsCommand, P1_CleanNeverTouchesTheCopiesOfAnotherRun) {
    const std::vector<std::string> words{
        "--max-steps", "20", "--interval", "10", "--eval-interval", "0", "--backup"};
    std::vector<std::string> with_copies = words;
    with_copies.emplace_back("on");
    ASSERT_EQ(train("other", with_copies).exit_code, 0);
    std::vector<std::string> without = words;
    without.emplace_back("off");
    train_run(without);
    std::filesystem::remove_all(in_run("backup"));
    std::filesystem::rename(run_directory("other") + "/backup", in_run("backup"));
    add_old_copy_and_leftovers(run_directory("other") + "/rolling/step_00000010", in_run("backup"));
    for (const bool is_marked : {true, false}) {
        if (!is_marked) {
            std::filesystem::remove(in_run("backup/backup.json"));
        }
        const std::set<std::string> before = tree(in_run("backup"));
        const Outcome cleaned = checkpoints("clean", {"--yes", "--all"});
        ASSERT_EQ(cleaned.exit_code, 0) << cleaned.log;
        EXPECT_EQ(tree(in_run("backup")), before) << is_marked;
        EXPECT_THAT(cleaned.out, HasSubstr("second copies in " + in_run("backup")));
    }
}

TEST_F(CheckpointsCommand, P1_CleanNeverTouchesABackupDisk) {
    const std::string backups = directory_ / "another disk";
    train_run({"--max-steps",
               "20",
               "--interval",
               "10",
               "--eval-interval",
               "0",
               "--backup",
               "on",
               "--backup-dir",
               backups});
    add_old_copy_and_leftovers(in_run("rolling/step_00000010"), backups);
    const std::set<std::string> before = tree(backups);
    const Outcome cleaned = checkpoints("clean", {"--yes", "--all"});
    ASSERT_EQ(cleaned.exit_code, 0) << cleaned.log;
    EXPECT_EQ(tree(backups), before);
    EXPECT_FALSE(std::filesystem::exists(in_run("rolling/step_00000010")));
    EXPECT_THAT(cleaned.out, HasSubstr("second copies in " + backups + " are left alone"));
    EXPECT_THAT(cleaned.out, Not(HasSubstr("\n  backup/")));
}

TEST_F(CheckpointsCommand, P1_CleanFallsBackFromADamagedNewestAndNeverDeletesTheLastSoundOne) {
    train_run({"--max-steps", "20", "--interval", "10", "--eval-interval", "0"});
    damage("rolling/step_00000020");
    const Outcome cleaned = checkpoints("clean", {"--yes"});
    ASSERT_EQ(cleaned.exit_code, 0) << cleaned.log;
    EXPECT_EQ(names(), std::set<std::string>{"rolling/step_00000010"});
    EXPECT_EQ(std::filesystem::read_symlink(in_run("latest")), "rolling/step_00000010");
    damage("rolling/step_00000010");
    const Outcome nothing = checkpoints("clean", {"--yes", "--all"});
    EXPECT_EQ(nothing.exit_code, 3);
    EXPECT_THAT(nothing.log, HasSubstr("nothing is deleted"));
    EXPECT_EQ(names(), std::set<std::string>{"rolling/step_00000010"});
}

TEST_F(CheckpointsCommand, CleanIsRefusedWhileATrainerRunsAndTheOthersDoNotDisturbIt) {
    const auto options = [](std::int64_t steps) {
        return std::vector<std::string>{"--max-steps",
                                        std::to_string(steps),
                                        "--schedule.steps",
                                        "60",
                                        "--interval",
                                        "1",
                                        "--keep-checkpoints",
                                        "2",
                                        "--eval-interval",
                                        "0",
                                        "--backup",
                                        "off"};
    };
    RunningProgram trainer(train_words("run", options(1'000'000)), directory_.path());
    ASSERT_TRUE(trainer.wait_for_step(metrics_path("run"), 3));
    const Outcome busy = checkpoints("clean", {"--yes"});
    EXPECT_EQ(busy.exit_code, 1);
    EXPECT_THAT(busy.log, HasSubstr("is in use by host"));
    EXPECT_EQ(checkpoints("clean", {"--dry-run"}).exit_code, 0);
    for (int i = 0; i < 4; ++i) {
        const Outcome list = checkpoints("list");
        EXPECT_EQ(list.exit_code, 0) << list.log;
        const Outcome verify = checkpoints("verify");
        EXPECT_EQ(verify.exit_code, 0) << verify.out;
        const std::string copy = directory_ / ("copy" + std::to_string(i));
        EXPECT_EQ(checkpoints("copy", {copy}).exit_code, 0);
        EXPECT_EQ(run_program({"checkpoints", "verify", copy}).exit_code, 0);
    }
    trainer.send_signal(SIGTERM);
    const Outcome ended = trainer.finish();
    EXPECT_EQ(ended.exit_code, 143) << ended.log;
    EXPECT_THAT(ended.log, Not(HasSubstr("failed")));
    const auto last = json::parse(lines_of(read_text(metrics_path("run"))).back());
    ASSERT_EQ(train("straight", options(last.at("step").get<std::int64_t>())).exit_code, 0);
    EXPECT_EQ(hash_of("run"), hash_of("straight"));
}

// Runs a command behind a terminal on which `typed` was typed; its exit code.
int run_on_a_terminal(const std::vector<std::string>& words, const std::string& typed) {
    const int master = ::posix_openpt(O_RDWR | O_NOCTTY);
    EXPECT_TRUE(master >= 0 && ::grantpt(master) == 0 && ::unlockpt(master) == 0);
    const std::string name = ::ptsname(master);
    EXPECT_EQ(::write(master, typed.data(), typed.size()), static_cast<ssize_t>(typed.size()));
    const pid_t pid = ::fork();
    if (pid == 0) {
        const int slave = ::open(name.c_str(), O_RDWR | O_NOCTTY);
        const int nowhere = ::open("/dev/null", O_WRONLY);
        ::dup2(slave, STDIN_FILENO);
        ::dup2(nowhere, STDOUT_FILENO);
        ::dup2(nowhere, STDERR_FILENO);
        std::string program = HOLDFAST_PROGRAM;
        std::vector<std::string> copies = words;
        std::vector<char*> arguments = {program.data()};
        for (std::string& word : copies) {
            arguments.push_back(word.data());
        }
        arguments.push_back(nullptr);
        ::execv(program.c_str(), arguments.data());
        ::_exit(127);
    }
    int status = 0;
    ::waitpid(pid, &status, 0);
    ::close(master);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

TEST_F(CheckpointsCommand, CleanAsksOnATerminal) {
    train_run({"--max-steps", "10", "--interval", "5", "--eval-interval", "0"});
    const std::vector<std::string> words = {"checkpoints", "clean", run_directory("run")};
    const std::set<std::string> before = names();
    for (const char* answer : {"n\n", "\n", "perhaps\n"}) {
        EXPECT_EQ(run_on_a_terminal(words, answer), 0);
        EXPECT_EQ(names(), before) << answer;
    }
    EXPECT_EQ(run_on_a_terminal(words, "y\n"), 0);
    EXPECT_EQ(names(), (std::set<std::string>{"best/step_00000010", "rolling/step_00000010"}));
}

TEST_F(CheckpointsCommand, CopyIsResumableAndReadableByAll) {
    train_run();
    std::filesystem::create_directories(directory_ / "usb stick");
    const std::string source = in_run("rolling/step_00000040");
    const std::vector<std::string> words = {
        "checkpoints", "copy", source, directory_ / "usb stick"};
    const Outcome copied = run_program(words);
    ASSERT_EQ(copied.exit_code, 0) << copied.log;
    const std::string copy = directory_ / "usb stick/step_00000040";
    EXPECT_THAT(copied.out, HasSubstr(copy));
    EXPECT_EQ(run_program({"checkpoints", "verify", copy}).exit_code, 0);
    EXPECT_EQ(run_program({"checkpoints", "hash", copy}).out.substr(0, 32),
              run_program({"checkpoints", "hash", source}).out.substr(0, 32));
    EXPECT_EQ(run_program({"eval", "--checkpoint", copy, "--json"}).exit_code, 0);
    EXPECT_EQ(run_program({"sample", "--checkpoint", copy, "--tokens", "5"}).exit_code, 0);
    const Outcome resumed = train("elsewhere", {"--resume", copy});
    ASSERT_EQ(resumed.exit_code, 0) << resumed.log;
    EXPECT_EQ(hash_of("elsewhere"), hash_of("run"));
    EXPECT_EQ(run_program(words).exit_code, 2) << "it is there";
}

TEST_F(CheckpointsCommand, CopyOfALinkHasTheNameOfItsTarget) {
    train_run({"--max-steps", "10", "--interval", "5", "--eval-interval", "0"});
    std::filesystem::create_directories(directory_ / "there");
    EXPECT_EQ(
        run_program({"checkpoints", "copy", in_run("latest"), directory_ / "there"}).exit_code, 0);
    EXPECT_TRUE(std::filesystem::exists(directory_ / "there/step_00000010/checkpoint.json"));
    damage("rolling/step_00000010");
    const Outcome fallen = checkpoints("copy", {directory_ / "fallen", "--json"});
    ASSERT_EQ(fallen.exit_code, 0) << fallen.log;
    EXPECT_EQ(json::parse(fallen.out).at("step"), 5) << "the newest that is sound";
}

TEST_F(CheckpointsCommand, HashStandsFirstOnTheLastLine) {
    train_run({"--max-steps", "10", "--eval-interval", "0"});
    const std::vector<std::string> lines = lines_of(checkpoints("hash").out);
    ASSERT_FALSE(lines.empty());
    const std::string& last = lines.back();
    EXPECT_EQ(last.find_first_not_of("0123456789abcdef"), 32U) << last;
}

// The printed command, run by a shell from another directory.
TEST_F(CheckpointsCommand, ResumeCommandRunsWhateverTheNamesAndWhereverTheSettingsCameFrom) {
    const std::string name = "it's a \"run\" of $HOME & `more`; 100 %";
    const std::string place = directory_ / "a place";
    std::filesystem::create_directories(place);
    std::filesystem::copy_file(config_path_, place + "/my config.json");
    const std::string quoted_program = fmt::format("'{}'", HOLDFAST_PROGRAM);
    const std::string start = fmt::format(
        "cd '{}' && HOLDFAST_OPTIMIZER__LEARNING_RATE=5e-4 {} train --config 'my config.json' "
        "--max-steps 10 --interval 5 --eval-interval 0 --grad-clip 0.5 --notes 'it'\\''s \"mine\"' "
        "--checkpoint-dir '{}' > /dev/null 2>&1",
        place,
        quoted_program,
        "it'\\''s a \"run\" of $HOME & `more`; 100 %");
    ASSERT_EQ(std::system(start.c_str()), 0) << start;
    const Outcome printed =
        run_program({"checkpoints", "resume-command", place + '/' + name, "--json"});
    ASSERT_EQ(printed.exit_code, 0) << printed.log;
    const std::string command = json::parse(printed.out).at("command");
    EXPECT_THAT(command, HasSubstr("--optimizer.learning_rate="));
    EXPECT_THAT(command, HasSubstr("--optimizer.grad_clip=0.5"));
    const std::string resume = fmt::format(
        "cd / && ( {} --max-steps 12 ) > /dev/null 2> '{}'", command, directory_ / "resume.log");
    ASSERT_EQ(std::system(resume.c_str()), 0) << resume << read_text(directory_ / "resume.log");
    EXPECT_EQ(lines_of(read_text(place + '/' + name + "/metrics.jsonl")).size(), 12U);
}

}  // namespace
}  // namespace holdfast::cli
