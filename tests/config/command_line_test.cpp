#include "config/command_line.h"

#include <array>
#include <cstdio>
#include <memory>

#include <gtest/gtest.h>

#include "config/resume_command.h"

namespace holdfast::config {
namespace {

const std::vector<CommandOption> kTrainOptions = {
    {"config", "FILE", "the config file", "c"},
    {"resume", "WHAT", "where to go on"},
    {"json", "", "print JSON"},
    {"dry-run", "", "start nothing"},
};

base::Result<CommandLine> parse(const std::vector<std::string>& arguments) {
    return parse_command_line(&option_table(), kTrainOptions, arguments);
}

std::string problem(const std::vector<std::string>& arguments) {
    const auto parsed = parse(arguments);
    if (parsed.ok()) {
        return "no error";
    }
    EXPECT_EQ(parsed.error().kind, base::ErrorKind::kInvalid);
    return parsed.error().what;
}

std::vector<KeyValue> settings_of(const std::vector<std::string>& arguments) {
    const auto parsed = parse(arguments);
    EXPECT_TRUE(parsed.ok()) << parsed.error().what;
    return parsed.value().settings;
}

TEST(CommandLine, EverySpellingOfAKeyIsTheSame) {
    const std::vector<KeyValue> expected = {{"train.max_steps", "500"}};
    for (const auto& arguments :
         std::vector<std::vector<std::string>>{{"--train.max_steps", "500"},
                                               {"--train.max-steps=500"},
                                               {"--max-steps", "500"},
                                               {"--max_steps=500"},
                                               {"--set", "max-steps=500"},
                                               {"--set=train.max_steps=500"}}) {
        EXPECT_EQ(settings_of(arguments), expected) << arguments.front();
    }
    EXPECT_EQ(settings_of({"--checkpoint-freq", "9"}),
              (std::vector<KeyValue>{{"checkpoint.interval", "9"}}));
}

TEST(CommandLine, AnOptionIsThereWhateverItsValueAndASwitchWhenItIsOn) {
    for (const char* value : {"0", "false"}) {
        const auto parsed = parse({"--resume", value});
        ASSERT_TRUE(parsed.ok()) << parsed.error().what;
        EXPECT_TRUE(parsed.value().has("resume")) << value;
        EXPECT_EQ(parsed.value().value("resume"), value);
    }
    for (const auto& [arguments, is_on] :
         std::vector<std::pair<std::vector<std::string>, bool>>{{{"--json"}, true},
                                                                {{"--json=1"}, true},
                                                                {{"--json=0"}, false},
                                                                {{"--no-json"}, false},
                                                                {{"--json", "--no-json"}, false},
                                                                {{"--no-json", "--json"}, true}}) {
        EXPECT_EQ(parse(arguments).value().has("json"), is_on) << arguments.back();
    }
}

TEST(CommandLine, SwitchesTakeEveryForm) {
    const auto value = [](const std::vector<std::string>& arguments) {
        return settings_of(arguments).at(0).second;
    };
    EXPECT_EQ(value({"--tensorboard"}), "true");
    EXPECT_EQ(value({"--use-tensorboard"}), "true");
    EXPECT_EQ(value({"--no-tensorboard"}), "false");
    EXPECT_EQ(value({"--no-log.tensorboard"}), "false");
    EXPECT_EQ(value({"--tensorboard=0"}), "0");
    EXPECT_EQ(value({"--tensorboard", "false"}), "false");
    EXPECT_EQ(problem({"--no-tensorboard=true"}), "--no-tensorboard: takes no value");
}

TEST(CommandLine, ACommandsOwnOptionsStandBesideTheSettings) {
    const auto parsed =
        parse({"one", "-c", "a.json", "--dry_run", "--json", "two", "--", "--three"});
    ASSERT_TRUE(parsed.ok()) << parsed.error().what;
    EXPECT_EQ(parsed.value().value("config"), "a.json");
    EXPECT_TRUE(parsed.value().has("dry-run"));
    EXPECT_TRUE(parsed.value().has("json")) << "the command's --json, not log.json";
    EXPECT_FALSE(parsed.value().has("resume"));
    EXPECT_EQ(parsed.value().value("resume", "auto"), "auto");
    EXPECT_TRUE(parsed.value().settings.empty());
    EXPECT_EQ(parsed.value().positional, (std::vector<std::string>{"one", "two", "--three"}));
}

TEST(CommandLine, OrderAndRepetitionAreKept) {
    EXPECT_EQ(settings_of({"--train", "a", "--seed", "1", "--train", "b,c"}),
              (std::vector<KeyValue>{{"data.train", "a"}, {"seed", "1"}, {"data.train", "b,c"}}));
}

TEST(CommandLine, OddValuesArriveWhole) {
    const std::string huge(300000, 'x');
    for (const std::string& value :
         {std::string("two\nlines"), std::string(), std::string("-1"), std::string("a=b"), huge}) {
        EXPECT_EQ(settings_of({"--notes=" + value}).at(0).second, value);
    }
    const auto parsed = parse({"--", huge, "a\nb", ""});
    EXPECT_EQ(parsed.value().positional, (std::vector<std::string>{huge, "a\nb", ""}));
}

TEST(CommandLine, ErrorsNameTheOptionAsItWasTyped) {
    EXPECT_EQ(problem({"--max-step", "5"}),
              "unknown option '--max-step'; did you mean 'max_steps'?");
    EXPECT_EQ(problem({"--confg", "5"}), "unknown option '--confg'; did you mean 'config'?");
    EXPECT_EQ(problem({"-z"}), "unknown option '-z'");
    EXPECT_EQ(
        problem({"--n-layer=x"}),
        "--n-layer: expected a whole number of layers, at least 1 and at most 1024, found 'x'");
    EXPECT_EQ(
        problem({"--n-layer"}),
        "--n-layer: a value is missing (a whole number of layers, at least 1 and at most 1024)");
    EXPECT_EQ(problem({"--config", "--json"}), "--config: a value is missing (FILE)");
    EXPECT_EQ(problem({"--set", "seed"}), "--set: expected key=value, found 'seed'");
    EXPECT_EQ(problem({"--set", "sed=1"}), "--set: unknown option 'sed'; did you mean 'seed'?");
    EXPECT_EQ(problem({"--dry-run=maybe"}),
              "--dry-run: expected true, false, 1 or 0, found 'maybe'");
}

TEST(CommandLine, ACommandWithoutSettingsKnowsOnlyItsOwn) {
    const std::vector<std::string> arguments = {"--seed", "1"};
    EXPECT_FALSE(parse_command_line(nullptr, kTrainOptions, arguments).ok());
}

std::string shell_output(const std::string& command) {
    const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(command.c_str(), "r"), ::pclose);
    std::string output;
    std::array<char, 4096> buffer{};
    for (std::size_t count = 0;
         (count = std::fread(buffer.data(), 1, buffer.size(), pipe.get())) > 0;) {
        output.append(buffer.data(), count);
    }
    return output;
}

TEST(ResumeCommand, GoesOnWithTheOriginalSettings) {
    EXPECT_EQ(resume_command({.program = "build/holdfast",
                              .config_path = "configs/shakespeare-cpu.json",
                              .overrides = {{"train.max_steps", "500"}, {"checkpoint.dir", "old"}},
                              .launch = {"--nproc-per-node", "8"},
                              .run_directory = "checkpoints/shakespeare-cpu"}),
              "build/holdfast train --config configs/shakespeare-cpu.json --train.max_steps=500 "
              "--nproc-per-node 8 --checkpoint-dir checkpoints/shakespeare-cpu --resume auto");
    EXPECT_EQ(resume_command({.working_directory = "/srv/a b", .run_directory = "runs/x"}),
              "cd '/srv/a b' && holdfast train --checkpoint-dir runs/x --resume auto");
}

TEST(ResumeCommand, AShellReadsEveryWordBack) {
    for (const std::string& word : {std::string("plain-word_1.json"),
                                    std::string("two words"),
                                    std::string("it's $HOME `x` \"y\" \\ *"),
                                    std::string("line\nfeed"),
                                    std::string("~/x"),
                                    std::string("a;b&c|d>e#f!g{h,i}")}) {
        EXPECT_EQ(shell_output("printf %s " + shell_quoted(word)), word);
    }
    EXPECT_EQ(shell_quoted(""), "''");
}

TEST(ResumeCommand, IsParsedBackToTheSameSettings) {
    const std::vector<KeyValue> overrides = {{"notes", "it's\n-odd"}, {"data.train", "a b"}};
    const std::string command = resume_command({.overrides = overrides, .run_directory = "d"});
    const std::string words =
        shell_output("set -- " + command + "; shift 2; printf '%s\\001' \"$@\"");
    std::vector<std::string> arguments;
    for (std::size_t begin = 0; begin < words.size();) {
        const std::size_t end = words.find('\x01', begin);
        arguments.push_back(words.substr(begin, end - begin));
        begin = end + 1;
    }
    auto settings = settings_of(arguments);
    EXPECT_EQ(settings.back(), (KeyValue{"checkpoint.dir", "d"}));
    settings.pop_back();
    EXPECT_EQ(settings, overrides);
}

}  // namespace
}  // namespace holdfast::config
