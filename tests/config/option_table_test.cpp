#include "config/option_table.h"

#include <set>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "config/option_help.h"
#include "fs/durable_write.h"
#include "fs/real_file_system.h"

namespace holdfast::config {
namespace {

const Option& option(std::string_view key) {
    const Option* found = option_table().find(key);
    EXPECT_NE(found, nullptr) << key;
    return *found;
}

// Any value the option may hold other than its default.
OptionValue another_value(const Option& of) {
    const OptionValue held = of.get(Settings{});
    switch (of.type) {
        case OptionType::kBool:
            return !std::get<bool>(held);
        case OptionType::kInteger:
            return std::get<std::int64_t>(held) + 1 +
                   static_cast<std::int64_t>(of.minimum.value_or(0));
        case OptionType::kReal:
            return std::get<double>(held) == 0.25 ? 0.5 : 0.25;
        case OptionType::kDuration:
            return 90.5;
        case OptionType::kInterval:
            return std::string("90s");
        case OptionType::kText:
            return std::string("a/b c\"d");
        case OptionType::kChoice:
            return of.choices.front() == std::get<std::string>(held) ? of.choices.back()
                                                                     : of.choices.front();
        case OptionType::kTextList:
            return std::vector<std::string>{"one, two", "three"};
    }
    return held;
}

TEST(OptionTable, HoldsEveryKeyOfTheContract) {
    for (const char* key : {"name",
                            "seed",
                            "device",
                            "precision",
                            "threads",
                            "deterministic",
                            "phase",
                            "init_from",
                            "notes",
                            "model.n_layer",
                            "model.n_head",
                            "model.n_embd",
                            "model.block_size",
                            "model.vocab_size",
                            "model.dropout",
                            "model.attention_dropout",
                            "model.bias",
                            "model.recompute",
                            "data.train",
                            "data.val",
                            "data.tokenizer",
                            "batch.batch_tokens",
                            "batch.micro_batch",
                            "batch.lanes",
                            "train.max_steps",
                            "train.max_epochs",
                            "train.time_limit",
                            "train.eval_interval",
                            "train.eval_tokens",
                            "train.on_bad_loss",
                            "optimizer.learning_rate",
                            "optimizer.weight_decay",
                            "optimizer.beta1",
                            "optimizer.beta2",
                            "optimizer.epsilon",
                            "optimizer.grad_clip",
                            "schedule.kind",
                            "schedule.steps",
                            "schedule.warmup_steps",
                            "schedule.min_learning_rate",
                            "checkpoint.dir",
                            "checkpoint.interval",
                            "checkpoint.keep",
                            "checkpoint.keep_emergency",
                            "checkpoint.keep_every",
                            "checkpoint.backup",
                            "checkpoint.backup_dir",
                            "checkpoint.gather",
                            "checkpoint.on_disk_short",
                            "checkpoint.disk_warn_percent",
                            "checkpoint.disk_alert_percent",
                            "log.tensorboard",
                            "log.json",
                            "log.sample_interval",
                            "log.sample_prompts",
                            "dist.nproc_per_node",
                            "dist.join_timeout",
                            "dist.timeout",
                            "dist.lost_after"}) {
        EXPECT_NE(option_table().find(key), nullptr) << key;
    }
    EXPECT_EQ(option_table().options().size(), 60U);
}

TEST(OptionTable, EachOptionReachesAMemberOfItsOwn) {
    for (const Option& changed : option_table().options()) {
        Settings settings;
        changed.set(settings, another_value(changed));
        for (const Option& other : option_table().options()) {
            const bool differs = other.get(settings) != other.get(Settings{});
            EXPECT_EQ(differs, other.key == changed.key) << changed.key << " and " << other.key;
        }
    }
}

TEST(OptionTable, ValuesSurviveTextAndJson) {
    for (const Option& each : option_table().options()) {
        for (const OptionValue& value : {each.get(Settings{}), another_value(each)}) {
            const auto from_text = parse_option_text(each, option_text(each, value));
            ASSERT_TRUE(from_text.ok()) << each.key << ": " << from_text.error().what;
            EXPECT_EQ(from_text.value(), value) << each.key;
            const auto from_json =
                parse_option_json(each, nlohmann::json::parse(option_json(each, value)));
            ASSERT_TRUE(from_json.ok()) << each.key << ": " << from_json.error().what;
            EXPECT_EQ(from_json.value(), value) << each.key;
        }
    }
}

TEST(OptionTable, EveryDefaultIsOneThatMayBeHeld) {
    for (const Option& each : option_table().options()) {
        EXPECT_TRUE(is_in_range(each, each.get(Settings{}))) << each.key;
    }
}

TEST(OptionTable, EveryOptionTeaches) {
    for (const Option& each : option_table().options()) {
        EXPECT_GE(each.help.size(), 20U) << each.key;
        EXPECT_TRUE(each.help.ends_with('.')) << each.key;
    }
}

TEST(OptionTable, NamesMayBeShortDashedOrAliased) {
    EXPECT_EQ(option_table().find_by_name("max-steps").value()->key, "train.max_steps");
    EXPECT_EQ(option_table().find_by_name("train.max-steps").value()->key, "train.max_steps");
    EXPECT_EQ(option_table().find_by_name("checkpoint_freq").value()->key, "checkpoint.interval");
    EXPECT_EQ(option_table().find_by_name("keep-checkpoints").value()->key, "checkpoint.keep");
    EXPECT_EQ(option_table().find_by_name("use-tensorboard").value()->key, "log.tensorboard");
    EXPECT_EQ(option_table().find_by_name("checkpoint-dir").value()->key, "checkpoint.dir");
    EXPECT_EQ(option_table().find_by_name("dir").value()->key, "checkpoint.dir");
}

TEST(OptionTable, EveryShortNameIsUnique) {
    for (const Option& each : option_table().options()) {
        const auto found = option_table().find_by_name(each.last_part());
        ASSERT_TRUE(found.ok()) << each.key << ": " << found.error().what;
        EXPECT_EQ(found.value(), &each);
    }
}

TEST(OptionTable, ASharedLastPartAsksForTheWholeName) {
    Option first;
    first.key = "a.size";
    Option second;
    second.key = "b.size";
    const OptionTable table({first, second});
    EXPECT_EQ(table.find_by_name("size").error().what,
              "'size' could be a.size or b.size: give the whole name");
}

TEST(OptionTable, UnknownNamesGetTheNearest) {
    EXPECT_EQ(option_table().find_by_name("max-step").error().what,
              "unknown option 'max-step'; did you mean 'max_steps'?");
    EXPECT_EQ(option_table().find_by_name("colourfulness").error().what,
              "unknown option 'colourfulness'");
}

TEST(Option, NumbersAreReadAsPeopleWriteThem) {
    EXPECT_EQ(parse_option_text(option("batch.batch_tokens"), "524_288").value(),
              OptionValue(std::int64_t{524288}));
    EXPECT_EQ(parse_option_text(option("batch.batch_tokens"), "1.5M").value(),
              OptionValue(std::int64_t{1500000}));
    EXPECT_EQ(parse_option_text(option("batch.micro_batch"), "auto").value(),
              OptionValue(std::int64_t{0}));
    EXPECT_EQ(parse_option_text(option("optimizer.learning_rate"), "6e-4").value(),
              OptionValue(6e-4));
    EXPECT_EQ(parse_option_text(option("train.time_limit"), "1h30m").value(), OptionValue(5400.0));
    EXPECT_EQ(parse_option_text(option("train.time_limit"), "90").value(), OptionValue(90.0));
    EXPECT_EQ(parse_option_text(option("data.train"), "a,b").value(),
              OptionValue(std::vector<std::string>{"a,b"}));
    EXPECT_EQ(parse_option_text(option("data.train"), R"(["a","b"])").value(),
              OptionValue(std::vector<std::string>{"a", "b"}));
}

TEST(Option, WrongValuesSayWhatWasExpectedAndFound) {
    const auto problem = [](std::string_view key, std::string_view text) {
        const auto parsed = parse_option_text(option(key), text);
        return parsed.ok() ? "no error" : parsed.error().what;
    };
    EXPECT_EQ(problem("model.n_layer", "four"),
              "expected a whole number of layers, at least 1 and at most 1024, found 'four'");
    EXPECT_EQ(problem("checkpoint.keep", "1"),
              "expected a whole number of checkpoints, at least 2, found '1'");
    EXPECT_EQ(problem("model.dropout", "1"),
              "expected a number, at least 0 and less than 1, found '1'");
    EXPECT_EQ(problem("model.dropout", "nan"),
              "expected a number, at least 0 and less than 1, found 'nan'");
    EXPECT_EQ(problem("precision", "fp16"), "expected one of bf16, fp32, fp8, found 'fp16'");
    EXPECT_EQ(problem("batch.lanes", "-1"),
              "expected a whole number of lanes, at least 1 and at most 65536, or 'auto', found "
              "'-1'");
    EXPECT_EQ(problem("log.json", "maybe"), "expected true or false, found 'maybe'");
    EXPECT_EQ(problem("train.time_limit", "8x"),
              "expected a time such as 90s, 30m, 8h or a number of seconds, or 'none', found '8x'");
    EXPECT_EQ(problem("data.train", "[1]"), "expected a path or a list of paths, found '[1]'");
}

TEST(ConfigDocs, TheCommittedPageIsTheTable) {
    const auto page = fs::read_file(
        fs::real_file_system(), HOLDFAST_SOURCE_DIR "/docs/config.md", std::uint64_t{1} << 20U);
    ASSERT_TRUE(page.ok()) << page.error().what;
    EXPECT_TRUE(page.value() == config_docs(option_table()))
        << "docs/config.md is not what the table says; write it anew: holdfast config-docs > "
           "docs/config.md";
}

TEST(OptionHelp, NamesEveryOptionAndFitsTheWidth) {
    const std::string text = help_text(option_table(), 80);
    for (const Option& each : option_table().options()) {
        EXPECT_NE(text.find(each.key), std::string::npos) << each.key;
    }
    for (std::size_t begin = 0; begin < text.size();) {
        const std::size_t end = text.find('\n', begin);
        EXPECT_LE(end - begin, 80U) << text.substr(begin, end - begin);
        begin = end + 1;
    }
}

}  // namespace
}  // namespace holdfast::config
