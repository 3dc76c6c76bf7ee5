#include "config/resolve.h"

#include <gtest/gtest.h>

#include "config/option_table.h"
#include "config/settings_change.h"

namespace holdfast::config {
namespace {

Settings good() {
    Settings settings;
    settings.data.train = {"data/train"};
    settings.train.max_steps = 100;
    return settings;
}

std::string first_problem(const Settings& settings) {
    const auto problems = find_problems(settings);
    EXPECT_EQ(validate(settings).ok(), problems.empty());
    if (problems.empty()) {
        return "none";
    }
    EXPECT_EQ(problems.front().kind, base::ErrorKind::kInvalid);
    EXPECT_EQ(problems.front().what.find('\n'), std::string::npos);
    return problems.front().what;
}

TEST(Resolve, GoodSettingsHaveNoProblem) {
    EXPECT_EQ(first_problem(good()), "none");
}

TEST(Resolve, HeadsMustDivideTheWidth) {
    Settings settings = good();
    settings.model.n_embd = 768;
    settings.model.n_head = 7;
    EXPECT_EQ(first_problem(settings),
              "model.n_head: 7 heads do not divide model.n_embd 768; the nearest that do: 6 and 8");
    settings.model.n_head = 1000;
    EXPECT_EQ(first_problem(settings),
              "model.n_head: 1000 heads do not divide model.n_embd 768; the nearest that do: 768");
}

TEST(Resolve, ABatchThatDoesNotDivideNamesTheNearest) {
    Settings settings = good();
    settings.batch.batch_tokens = 10000;
    EXPECT_EQ(first_problem(settings),
              "batch.batch_tokens: 10000 is not a multiple of model.block_size 128; the nearest "
              "that are: 9984 and 10112");
    settings.batch.micro_batch = 8;
    EXPECT_EQ(first_problem(settings),
              "batch.batch_tokens: 10000 is not a multiple of model.block_size 128 x "
              "batch.micro_batch 8 = 1024; the nearest that are: 9216 and 10240");
    settings.batch.lanes = 16;
    EXPECT_EQ(first_problem(settings),
              "batch.batch_tokens: 10000 is not a multiple of model.block_size 128 x "
              "batch.micro_batch 8 x batch.lanes 16 = 16384; the nearest that are: 16384");
    settings.batch.micro_batch = std::int64_t{1} << 60U;
    EXPECT_EQ(first_problem(settings),
              "batch.micro_batch: model.block_size x micro_batch x lanes is too large");
}

TEST(Resolve, AccumulationIsDerived) {
    Settings settings = good();
    settings.batch = {.batch_tokens = 128 * 4 * 2 * 3, .micro_batch = 4, .lanes = 2};
    EXPECT_EQ(first_problem(settings), "none");
    EXPECT_EQ(accumulation_steps(settings), 3);
}

TEST(Resolve, RangesHoldHoweverTheValueCame) {
    Settings settings = good();
    settings.checkpoint.keep = 1;
    settings.model.dropout = 1.0;
    settings.model.n_head = 0;
    EXPECT_EQ(find_problems(settings).size(), 3U);
    settings = good();
    settings.model.block_size = 0;
    EXPECT_EQ(
        first_problem(settings),
        "model.block_size: expected a whole number of tokens, at least 1 and at most 1048576, "
        "found '0'");
}

TEST(Resolve, AFallingRateMustKnowUntilWhen) {
    Settings settings = good();
    settings.train.max_steps = 0;
    EXPECT_TRUE(first_problem(settings).starts_with("schedule.kind:")) << first_problem(settings);
    settings.train.max_epochs = 1;
    EXPECT_EQ(first_problem(settings), "none");
    settings.train.max_epochs = 0;
    settings.schedule.kind = optim::ScheduleKind::kConstant;
    EXPECT_EQ(first_problem(settings), "none");
}

TEST(Resolve, WarmUpAndLowestRateMustFit) {
    Settings settings = good();
    settings.schedule.warmup_steps = 101;
    EXPECT_EQ(
        first_problem(settings),
        "schedule.warmup_steps: 101 steps of warm-up do not fit into train.max_steps (100); for a "
        "short try give --warmup-steps too");
    settings = good();
    settings.schedule.min_learning_rate = 1;
    EXPECT_EQ(first_problem(settings),
              "schedule.min_learning_rate: 1 is above optimizer.learning_rate 0.0006");
}

TEST(Resolve, TheDiskAlarmsNoEarlierThanItWarns) {
    Settings settings = good();
    settings.checkpoint.disk_alert_percent = 69;
    EXPECT_EQ(first_problem(settings),
              "checkpoint.disk_alert_percent: 69 is below checkpoint.disk_warn_percent 70");
    for (const auto& [warn, alert] : {std::pair(70, 70), std::pair(70, 0), std::pair(0, 1)}) {
        settings.checkpoint.disk_warn_percent = warn;
        settings.checkpoint.disk_alert_percent = alert;
        EXPECT_EQ(first_problem(settings), "none") << warn << " and " << alert;
    }
}

TEST(Resolve, DataNameAndPromptsAreAskedFor) {
    Settings settings = good();
    settings.data.train.clear();
    EXPECT_TRUE(first_problem(settings).starts_with("data.train: names no data"));
    settings = good();
    settings.run.name = "a/b";
    EXPECT_EQ(first_problem(settings), "name: expected a word that can name a folder, found 'a/b'");
    settings = good();
    settings.log.sample_interval = 10;
    EXPECT_TRUE(first_problem(settings).starts_with("log.sample_interval:"));
}

TEST(CanonicalJson, ComesBackAsItWas) {
    Settings settings = good();
    settings.optimizer.learning_rate = 0.1 + 0.2;
    settings.run.notes = "two\nlines \"quoted\" \xc3\xa9";
    settings.log.sample_prompts = {"\n", "To be, or"};
    settings.model.recompute = model::Recompute::kBlock;
    const std::string json = to_canonical_json(settings);
    const auto back = settings_from_json(json, "checkpoint.json");
    ASSERT_TRUE(back.ok()) << back.error().what;
    EXPECT_EQ(to_canonical_json(back.value()), json);
    EXPECT_EQ(back.value().optimizer.learning_rate, 0.1 + 0.2);
    EXPECT_EQ(back.value().run.notes, settings.run.notes);
}

TEST(CanonicalJson, MissingKeysKeepTheirDefaultAndUnknownOnesAreRefused) {
    EXPECT_EQ(settings_from_json("{}", "run.json").value().model.n_layer, 4);
    EXPECT_EQ(settings_from_json(R"({"future.key":1})", "run.json").error().what,
              "run.json: unknown key 'future.key'");
}

TEST(MathematicsChecksum, FollowsWhatChangesTheRunAndNothingElse) {
    const std::uint64_t before = mathematics_checksum(good());
    Settings settings = good();
    settings.train.max_steps = 200;
    settings.checkpoint.interval.steps = 7;
    settings.data.train = {"elsewhere"};
    settings.run.notes = "other";
    EXPECT_EQ(mathematics_checksum(settings), before);
    settings.optimizer.beta2 = 0.99;
    EXPECT_NE(mathematics_checksum(settings), before);
    settings = good();
    settings.run.seed = 1;
    EXPECT_NE(mathematics_checksum(settings), before);
}

TEST(SettingsChange, FreeOptionsMayChange) {
    Settings requested = good();
    requested.train.max_steps = 500;
    requested.checkpoint.interval.steps = 50;
    const auto resumed = settings_for_resume(good(), requested, {});
    ASSERT_TRUE(resumed.ok()) << resumed.error().what;
    EXPECT_EQ(resumed.value().settings.train.max_steps, 500);
    ASSERT_EQ(resumed.value().changes.size(), 2U);
    EXPECT_EQ(resumed.value().changes[0].key, "train.max_steps");
    EXPECT_EQ(resumed.value().changes[0].stored, "100");
    EXPECT_EQ(resumed.value().changes[0].requested, "500");
}

TEST(SettingsChange, TheMathematicsChangeOnlyWhenAllowed) {
    Settings requested = good();
    requested.optimizer.learning_rate = 0.001;
    EXPECT_EQ(settings_for_resume(good(), requested, {}).error().what,
              "optimizer.learning_rate was '0.0006' when this run began, now '0.001' is asked for; "
              "it changes the numbers of the run: add --allow-change optimizer.learning_rate to do "
              "it all the same");
    const std::vector<std::string> allowed = {"learning-rate"};
    const auto resumed = settings_for_resume(good(), requested, allowed);
    ASSERT_TRUE(resumed.ok()) << resumed.error().what;
    EXPECT_EQ(resumed.value().settings.optimizer.learning_rate, 0.001);
    const std::vector<std::string> unknown = {"learning-rat"};
    EXPECT_FALSE(settings_for_resume(good(), requested, unknown).ok());
}

TEST(SettingsChange, WhatIsFixedNeverChanges) {
    Settings requested = good();
    requested.model.n_layer = 5;
    const std::vector<std::string> allowed = {"model.n_layer"};
    const auto resumed = settings_for_resume(good(), requested, allowed);
    ASSERT_FALSE(resumed.ok());
    EXPECT_NE(resumed.error().what.find("cannot change within a run"), std::string::npos);
}

TEST(SettingsChange, AutomaticMeansAsItWas) {
    Settings stored = good();
    stored.batch.micro_batch = 8;
    stored.batch.lanes = 2;
    stored.run.threads = 4;
    stored.run.device = "cpu";
    stored.schedule.steps = 100;
    stored.model.vocab_size = 257;
    const auto resumed = settings_for_resume(stored, good(), {});
    ASSERT_TRUE(resumed.ok()) << resumed.error().what;
    EXPECT_TRUE(resumed.value().changes.empty());
    EXPECT_EQ(to_canonical_json(resumed.value().settings), to_canonical_json(stored));
}

}  // namespace
}  // namespace holdfast::config
