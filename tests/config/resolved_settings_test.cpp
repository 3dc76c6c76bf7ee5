#include "config/resolved_settings.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "config/resolve.h"
#include "fs/durable_write.h"
#include "fs/real_file_system.h"

namespace holdfast::config {
namespace {

std::string file_problem(std::string_view text) {
    ResolvedSettings resolved;
    const auto applied = apply_config_file(resolved, text, "run.json");
    return applied.ok() ? "no error" : applied.error().what;
}

std::string variable_problem(const std::string& name, const std::string& text) {
    ResolvedSettings resolved;
    const std::vector<KeyValue> environment = {{name, text}};
    const auto applied = apply_environment(resolved, environment);
    return applied.ok() ? "no error" : applied.error().what;
}

TEST(ConfigFile, TakesCommentsAndBothSpellings) {
    ResolvedSettings resolved;
    const auto applied = apply_config_file(resolved,
                                           R"(// a comment
        {"model": {"n_layer": 3 /* small */, "dropout": 0.5}, "model.n_embd": 64,
         "batch": {"micro_batch": "auto"}, "train": {"time_limit": "2h"},
         "data": {"train": "a", "val": ["b", "poems=c"]}, "log": {"tensorboard": true},
         "schedule": {"kind": "wsd"}, "seed": 1e3})",
                                           "configs/tiny.json");
    ASSERT_TRUE(applied.ok()) << applied.error().what;
    EXPECT_EQ(resolved.settings.model.n_layer, 3);
    EXPECT_EQ(resolved.settings.model.n_embd, 64);
    EXPECT_EQ(resolved.settings.model.dropout, 0.5);
    EXPECT_EQ(resolved.settings.train.time_limit_seconds, 7200);
    EXPECT_EQ(resolved.settings.data.train, std::vector<std::string>{"a"});
    EXPECT_EQ(resolved.settings.data.val, (std::vector<std::string>{"b", "poems=c"}));
    EXPECT_TRUE(resolved.settings.log.tensorboard);
    EXPECT_EQ(resolved.settings.schedule.kind, optim::ScheduleKind::kWsd);
    EXPECT_EQ(resolved.settings.run.seed, 1000U);
    EXPECT_EQ(resolved.settings.run.name, "tiny") << "a file without a name lends its own";
    EXPECT_EQ(resolved.source_of("model.n_layer"), Source::kConfigFile);
    EXPECT_EQ(resolved.source_of("model.n_head"), Source::kDefault);
}

TEST(ConfigFile, RefusesWhatItDoesNotKnow) {
    EXPECT_EQ(file_problem(R"({"model": {"n_layers": 4}})"),
              "run.json: unknown key 'model.n_layers'; did you mean 'model.n_layer'?");
    EXPECT_EQ(file_problem(R"({"modle": {"n_layer": 4}})"),
              "run.json: unknown key 'modle'; did you mean 'model'?");
    EXPECT_EQ(file_problem(R"({"model": {"n_layer": 4, "n_layer": 5}})"),
              "run.json: 'n_layer' is given twice");
    EXPECT_EQ(file_problem(R"({"model": {"n_layer": 4}, "model.n_layer": 4})"),
              "run.json: 'model.n_layer' is given twice");
}

TEST(ConfigFile, NamesKeyExpectedAndFoundOfAWrongType) {
    EXPECT_EQ(file_problem(R"({"model": {"n_layer": "four"}})"),
              "run.json: model.n_layer: expected a whole number of layers, at least 1 and at most "
              "1024, found \"four\"");
    EXPECT_EQ(file_problem(R"({"model": {"n_layer": 4.5}})"),
              "run.json: model.n_layer: expected a whole number of layers, at least 1 and at most "
              "1024, found 4.5");
    EXPECT_EQ(file_problem(R"({"model": 4})"), "run.json: model: expected a group {...}, found 4");
    EXPECT_EQ(file_problem(R"({"log": {"json": 1}})"),
              "run.json: log.json: expected true or false, found 1");
    EXPECT_EQ(file_problem(R"({"data": {"train": [1]}})"),
              "run.json: data.train: expected a path or a list of paths, found [1]");
    EXPECT_EQ(file_problem(R"({"seed": 18446744073709551615})"),
              "run.json: seed: expected a whole number, at least 0, found 18446744073709551615");
    EXPECT_EQ(file_problem("[]"), "run.json: expected an object {...} of options");
}

TEST(ConfigFile, TellsLineAndColumnOfBrokenJson) {
    const std::string problem = file_problem("{\n  \"seed\": 1,\n  oops\n}");
    EXPECT_TRUE(problem.starts_with("run.json: line 3, column 3: syntax error")) << problem;
    EXPECT_EQ(problem.find('\n'), std::string::npos);
    EXPECT_NE(file_problem(""), "no error");
}

TEST(ConfigFile, HostileTextIsToldInOneLine) {
    EXPECT_EQ(file_problem(R"({"seed": 1e999})"), "run.json: number overflow parsing '1e999'");
    const std::string deep = std::string(200'000, '[') + std::string(200'000, ']');
    EXPECT_EQ(file_problem(fmt::format("{{\"seed\": {}}}", deep)),
              "run.json: lists or groups stand too deep in each other");
    EXPECT_EQ(file_problem(R"({"a\nb": 1})"), "run.json: unknown key 'a\\x0Ab'");
    EXPECT_EQ(
        file_problem(fmt::format("{{\"seed\": \"{}\"}}", std::string(5000, 'x'))),
        fmt::format("run.json: seed: expected a whole number, at least 0, found \"{}... (5002 "
                    "bytes)",
                    std::string(119, 'x')));
}

TEST(ConfigFile, AFailureChangesNothing) {
    ResolvedSettings resolved;
    ASSERT_FALSE(apply_config_file(resolved, R"({"seed": 7, "sead": 8})", "run.json").ok());
    EXPECT_EQ(to_canonical_json(resolved.settings), to_canonical_json(Settings{}));
    EXPECT_TRUE(resolved.sources.empty());
}

TEST(Environment, SpellsTheDotWithTwoUnderscores) {
    ResolvedSettings resolved;
    const std::vector<KeyValue> environment = {{"HOLDFAST_SEED", "7"},
                                               {"HOLDFAST_MODEL__N_LAYER", "5"},
                                               {"HOLDFAST_CACHE", "/somewhere"},
                                               {"PATH", "/bin"}};
    ASSERT_TRUE(apply_environment(resolved, environment).ok());
    EXPECT_EQ(resolved.settings.run.seed, 7U);
    EXPECT_EQ(resolved.settings.model.n_layer, 5);
    EXPECT_EQ(resolved.sources.size(), 2U);
}

TEST(Environment, NamesAWrongVariable) {
    EXPECT_EQ(variable_problem("HOLDFAST_MODEL__N_LAYERS", "5"),
              "environment: HOLDFAST_MODEL__N_LAYERS names no option ('model.n_layers'); did you "
              "mean 'model.n_layer'?");
    EXPECT_EQ(variable_problem("HOLDFAST_MODEL_N_LAYER", "5"),
              "environment: HOLDFAST_MODEL_N_LAYER is not read; for model.n_layer the name is "
              "HOLDFAST_MODEL__N_LAYER");
    EXPECT_EQ(variable_problem("HOLDFAST_SEED", "x"),
              "environment: HOLDFAST_SEED: expected a whole number, at least 0, found 'x'");
}

TEST(ResolvedSettings, LaterLayersWinAndAreNamed) {
    const std::vector<KeyValue> environment = {{"HOLDFAST_MODEL__N_HEAD", "2"},
                                               {"HOLDFAST_MODEL__N_EMBD", "32"}};
    const std::vector<KeyValue> command_line = {{"n-embd", "64"}, {"train", "x"}, {"train", "y"}};
    const auto resolved = resolve_settings(
        std::pair<std::string, std::string>{
            "a.json",
            R"({"model": {"n_layer": 3, "n_head": 1, "n_embd": 16}, "data.train": ["z"]})"},
        environment,
        command_line);
    ASSERT_TRUE(resolved.ok()) << resolved.error().what;
    EXPECT_EQ(resolved.value().settings.model.n_layer, 3);
    EXPECT_EQ(resolved.value().settings.model.n_head, 2);
    EXPECT_EQ(resolved.value().settings.model.n_embd, 64);
    EXPECT_EQ(resolved.value().settings.data.train, (std::vector<std::string>{"x", "y"}));
    EXPECT_EQ(resolved.value().source_of("model.n_layer"), Source::kConfigFile);
    EXPECT_EQ(resolved.value().source_of("model.n_head"), Source::kEnvironment);
    EXPECT_EQ(resolved.value().source_of("model.n_embd"), Source::kCommandLine);
    EXPECT_EQ(resolved.value().source_of("seed"), Source::kDefault);
}

TEST(ResolvedSettings, TheTableShowsValueUnitAndSource) {
    ResolvedSettings resolved;
    const std::vector<KeyValue> pairs = {{"max-steps", "500"}};
    ASSERT_TRUE(apply_command_line(resolved, pairs).ok());
    set_chosen(resolved, "batch.micro_batch", "8");
    EXPECT_EQ(resolved_table(resolved, true),
              "  batch.micro_batch  8 sequences  chosen\n"
              "  train.max_steps    500 steps    command line\n");
    const std::string whole = resolved_table(resolved, false);
    EXPECT_NE(whole.find("  batch.lanes "), std::string::npos);
}

TEST(CommittedConfigs, AreReadAndValid) {
    for (const char* name :
         {"shakespeare-cpu", "shakespeare-bpe", "rtx4060-depth8", "dgx-gpt2-124m"}) {
        const std::string path = std::string(HOLDFAST_SOURCE_DIR "/configs/") + name + ".json";
        const auto text = fs::read_file(fs::real_file_system(), path, 1U << 20U);
        ASSERT_TRUE(text.ok()) << text.error().what;
        const auto resolved =
            resolve_settings(std::pair<std::string, std::string>{path, text.value()}, {}, {});
        ASSERT_TRUE(resolved.ok()) << resolved.error().what;
        EXPECT_EQ(resolved.value().settings.run.name, name);
        for (const base::Error& problem : find_problems(resolved.value().settings)) {
            ADD_FAILURE() << name << ": " << problem.what;
        }
    }
}

}  // namespace
}  // namespace holdfast::config
