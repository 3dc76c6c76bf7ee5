#include "config/resolve.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "base/check.h"
#include "base/checksum.h"
#include "config/config_file.h"
#include "config/option_table.h"

namespace holdfast::config {

namespace {

using Problems = std::vector<base::Error>;

void add_problem(Problems& problems, std::string what) {
    problems.push_back({base::ErrorKind::kInvalid, std::move(what)});
}

void find_range_problems(const Settings& settings, Problems& problems) {
    for (const Option& option : option_table().options()) {
        const OptionValue value = option.get(settings);
        if (!is_in_range(option, value)) {
            add_problem(problems,
                        fmt::format("{}: expected {}, found '{}'",
                                    option.key,
                                    option.expectation(),
                                    option_text(option, value)));
        }
    }
}

// "6 and 8": the nearest divisors of `whole` below and above `wanted`.
std::string nearest_divisors(std::int64_t whole, std::int64_t wanted) {
    std::int64_t below = 0;
    std::int64_t above = 0;
    for (std::int64_t divisor = 1; divisor <= whole; ++divisor) {
        if (whole % divisor != 0) {
            continue;
        }
        if (divisor < wanted) {
            below = divisor;
        } else if (above == 0) {
            above = divisor;
        }
    }
    if (above == 0) {
        return fmt::format("{}", below);
    }
    return below == 0 ? fmt::format("{}", above) : fmt::format("{} and {}", below, above);
}

void find_model_problems(const Settings& settings, Problems& problems) {
    const model::GptConfig& shape = settings.model;
    if (shape.n_embd % shape.n_head != 0) {
        add_problem(problems,
                    fmt::format("model.n_head: {} heads do not divide model.n_embd {}; the nearest "
                                "that do: {}",
                                shape.n_head,
                                shape.n_embd,
                                nearest_divisors(shape.n_embd, shape.n_head)));
    }
}

void find_batch_problems(const Settings& settings, Problems& problems) {
    const std::int64_t micro_batch = std::max<std::int64_t>(1, settings.batch.micro_batch);
    const std::int64_t lanes = std::max<std::int64_t>(1, settings.batch.lanes);
    // A product that does not fit is larger than any batch.
    std::int64_t unit_tokens = 0;
    if (__builtin_mul_overflow(settings.model.block_size, micro_batch, &unit_tokens) ||
        __builtin_mul_overflow(unit_tokens, lanes, &unit_tokens)) {
        add_problem(problems,
                    "batch.micro_batch: model.block_size x micro_batch x lanes is too large");
        return;
    }
    const std::int64_t tokens = settings.batch.batch_tokens;
    if (tokens % unit_tokens == 0) {
        return;
    }
    std::string unit = fmt::format("model.block_size {}", settings.model.block_size);
    if (settings.batch.micro_batch > 0) {
        unit += fmt::format(" x batch.micro_batch {}", micro_batch);
    }
    if (settings.batch.lanes > 0) {
        unit += fmt::format(" x batch.lanes {}", lanes);
    }
    const std::int64_t below = tokens / unit_tokens * unit_tokens;
    std::int64_t above = 0;
    std::string nearest = below > 0 ? fmt::format("{}", below) : "";
    if (!__builtin_add_overflow(below, unit_tokens, &above)) {
        nearest += fmt::format("{}{}", nearest.empty() ? "" : " and ", above);
    }
    add_problem(
        problems,
        fmt::format("batch.batch_tokens: {} is not a multiple of {}{}; the nearest that are: "
                    "{}",
                    tokens,
                    unit,
                    unit_tokens == settings.model.block_size ? std::string()
                                                             : fmt::format(" = {}", unit_tokens),
                    nearest));
}

void find_schedule_problems(const Settings& settings, Problems& problems) {
    const optim::ScheduleConfig& schedule = settings.schedule;
    const std::int64_t horizon = schedule.steps > 0 ? schedule.steps : settings.train.max_steps;
    if (schedule.kind != optim::ScheduleKind::kConstant && horizon == 0 &&
        settings.train.max_epochs == 0) {
        add_problem(
            problems,
            "schedule.kind: a learning rate that falls must know until when: set "
            "train.max_steps, train.max_epochs or schedule.steps, or schedule.kind constant");
    }
    if (horizon > 0 && schedule.warmup_steps > horizon) {
        add_problem(
            problems,
            fmt::format("schedule.warmup_steps: {} steps of warm-up do not fit into {} ({}); for a "
                        "short try give --warmup-steps too",
                        schedule.warmup_steps,
                        schedule.steps > 0 ? "schedule.steps" : "train.max_steps",
                        horizon));
    }
    if (schedule.min_learning_rate > settings.optimizer.learning_rate) {
        add_problem(problems,
                    fmt::format("schedule.min_learning_rate: {} is above "
                                "optimizer.learning_rate {}",
                                schedule.min_learning_rate,
                                settings.optimizer.learning_rate));
    }
}

void find_other_problems(const Settings& settings, Problems& problems) {
    if (settings.data.train.empty()) {
        add_problem(problems,
                    "data.train: names no data; give token shards, a folder or a glob (`holdfast "
                    "prepare` makes shards from text)");
    }
    const std::string& name = settings.run.name;
    if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos) {
        add_problem(problems,
                    fmt::format("name: expected a word that can name a folder, found '{}'", name));
    }
    if (settings.run.precision == model::Precision::kFp8) {
        add_problem(problems, "precision: fp8 cannot be trained in yet; give bf16 or fp32");
    }
    if (settings.log.sample_interval > 0 && settings.log.sample_prompts.empty()) {
        add_problem(problems,
                    "log.sample_interval: is set but log.sample_prompts is empty; give a prompt, "
                    "such as [\"\\n\"]");
    }
}

void find_disk_problems(const Settings& settings, Problems& problems) {
    const std::int64_t warn = settings.checkpoint.disk_warn_percent;
    const std::int64_t alert = settings.checkpoint.disk_alert_percent;
    if (alert > 0 && alert < warn) {
        add_problem(problems,
                    fmt::format("checkpoint.disk_alert_percent: {} is below "
                                "checkpoint.disk_warn_percent {}",
                                alert,
                                warn));
    }
}

// Dotted keys in alphabetical order, of the options `takes` agrees to.
template <typename Predicate>
std::string canonical_json(const Settings& settings, Predicate takes) {
    std::map<std::string_view, std::string> values;
    for (const Option& option : option_table().options()) {
        if (takes(option)) {
            values[option.key] = option_json(option, option.get(settings));
        }
    }
    std::string json = "{";
    for (const auto& [key, value] : values) {
        json += fmt::format("{}\"{}\":{}", json.size() > 1 ? "," : "", key, value);
    }
    return json + '}';
}

}  // namespace

std::vector<base::Error> find_problems(const Settings& settings) {
    Problems problems;
    find_range_problems(settings, problems);
    // The rules below divide by what the ranges keep from being 0.
    if (problems.empty()) {
        find_model_problems(settings, problems);
        find_batch_problems(settings, problems);
        find_schedule_problems(settings, problems);
        find_disk_problems(settings, problems);
        find_other_problems(settings, problems);
    }
    return problems;
}

base::Status validate(const Settings& settings) {
    const Problems problems = find_problems(settings);
    return problems.empty() ? base::Status{} : base::Status{problems.front()};
}

std::int64_t accumulation_steps(const Settings& settings) {
    HF_CHECK(settings.batch.micro_batch > 0 && settings.batch.lanes > 0,
             "micro_batch and lanes are not chosen yet");
    return settings.batch.batch_tokens /
           (settings.model.block_size * settings.batch.micro_batch * settings.batch.lanes);
}

std::string to_canonical_json(const Settings& settings) {
    return canonical_json(settings, [](const Option&) { return true; });
}

base::Result<Settings> settings_from_json(std::string_view text, std::string_view place) {
    auto found = parse_config_text(option_table(), text, place);
    if (!found.ok()) {
        return found.error();
    }
    Settings settings;
    for (const auto& [option, value] : found.value()) {
        option->set(settings, value);
    }
    return settings;
}

std::uint64_t mathematics_checksum(const Settings& settings) {
    return base::checksum64(canonical_json(
        settings, [](const Option& option) { return option.change != ChangeRule::kFree; }));
}

}  // namespace holdfast::config
