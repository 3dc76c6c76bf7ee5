#include "config/option_help.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace holdfast::config {

namespace {

constexpr std::array<std::pair<std::string_view, std::string_view>, 9> kGroupTitles = {{
    {"run", "The run"},
    {"data", "Data"},
    {"batch", "Batch"},
    {"train", "Training"},
    {"model", "Model"},
    {"optimizer", "Optimizer (AdamW)"},
    {"schedule", "Learning rate over time"},
    {"checkpoint", "Checkpoints"},
    {"log", "Logging"},
}};

std::string_view title_of(std::string_view group) {
    const auto found = std::find_if(kGroupTitles.begin(),
                                    kGroupTitles.end(),
                                    [group](const auto& t) { return t.first == group; });
    return found == kGroupTitles.end() ? group : found->second;
}

std::string value_name(const Option& option) {
    switch (option.type) {
        case OptionType::kBool:
            return "";
        case OptionType::kInteger:
            return "N";
        case OptionType::kReal:
            return "X";
        case OptionType::kDuration:
            return "TIME";
        case OptionType::kInterval:
            return "N|TIME";
        case OptionType::kText:
            return option.unit == "path" ? "PATH" : "TEXT";
        case OptionType::kChoice:
            return fmt::format("{}", fmt::join(option.choices, "|"));
        case OptionType::kTextList:
            return option.unit == "path" ? "PATH..." : "TEXT...";
    }
    return "";
}

std::string default_text(const Option& option) {
    std::string text = option_text(option, option.get(Settings{}));
    if (text.empty() || text == "[]") {
        return "empty";
    }
    return text;
}

// Words broken into lines of at most `width`.
std::vector<std::string> wrapped(std::string_view text, std::size_t width) {
    std::vector<std::string> lines(1);
    while (!text.empty()) {
        const std::size_t space = text.find(' ');
        const std::string_view word = text.substr(0, space);
        std::string& line = lines.back();
        if (!line.empty() && line.size() + 1 + word.size() > width) {
            lines.emplace_back(word);
        } else {
            line += line.empty() ? "" : " ";
            line += word;
        }
        text.remove_prefix(space == std::string_view::npos ? text.size() : space + 1);
    }
    return lines;
}

std::string help_entry(const Option& option, int columns) {
    constexpr std::size_t kIndent = 8;
    const std::string name = option.type == OptionType::kBool ? "[no-]" + option.key : option.key;
    std::string text = fmt::format("  --{} {}", name, value_name(option));
    text.erase(text.find_last_not_of(' ') + 1);
    text += '\n';
    const std::string held = default_text(option);
    const bool has_unit = !option.unit.empty() && option.unit != "path" && held != option.zero_word;
    const std::string note = fmt::format(
        "{} [{}{}{}]", option.help, held, has_unit ? " " : "", has_unit ? option.unit : "");
    const auto width = static_cast<std::size_t>(std::max(columns, 40)) - kIndent;
    for (const std::string& line : wrapped(note, width)) {
        text += std::string(kIndent, ' ') + line + '\n';
    }
    return text;
}

std::string_view change_text(ChangeRule rule) {
    switch (rule) {
        case ChangeRule::kFree:
            return "yes";
        case ChangeRule::kMathematics:
            return "with `--allow-change`";
        case ChangeRule::kFixed:
            return "no";
    }
    return "";
}

// A bar would end the cell, and an opening bracket begin a tag.
std::string cell(std::string_view text) {
    std::string escaped;
    for (const char c : text) {
        if (c == '|' || c == '<') {
            escaped += '\\';
        }
        escaped += c;
    }
    return escaped;
}

std::string docs_row(const Option& option) {
    std::string help = option.help;
    if (!option.aliases.empty()) {
        help +=
            fmt::format(" On the command line also `--{}`.", fmt::join(option.aliases, "`, `--"));
    }
    return fmt::format("| `{}` | {} | `{}` | {} | {} |\n",
                       option.key,
                       cell(option.expectation()),
                       default_text(option),
                       change_text(option.change),
                       cell(help));
}

constexpr std::string_view kDocsHead = R"(# Options

Every setting of a run. This page is written by `holdfast config-docs > docs/config.md`; change the table of options
(`src/config/declare_*_options.cpp`), not this page.

A value comes from, later ones winning: the default, the config file (`--config FILE`), the environment, the command
line. `holdfast train --config FILE --dry-run` prints every value with where it came from.

- **Config file**: JSON, `//` and `/* */` comments allowed. `{"model": {"n_layer": 4}}` and `{"model.n_layer": 4}` mean
  the same. An unknown key, a key given twice and a value of the wrong type are errors.
- **Command line**: `--model.n_layer 4`, `--model.n_layer=4`, `--set model.n_layer=4`, or the last part alone where only one
  option has it: `--n-layer 4`. `-` and `_` are the same in names. Switches: `--tensorboard`, `--no-tensorboard`,
  `--tensorboard=true`. Whole numbers may be written `524_288`, `10K`, `1.5M`, `2B` (powers of 1000). A list is given by
  repeating the option, or as a JSON array.
- **Environment**: `HOLDFAST_` and the key in capitals, `__` for the dot: `HOLDFAST_SEED=7`, `HOLDFAST_MODEL__N_LAYER=4`.

"May change" says whether a run that is resumed may be given another value: *yes*; *with `--allow-change`* (it changes
the numbers of the run, and is recorded); *no* (start a new run). A value left to the program (`auto`) stays what it was.
)";

}  // namespace

std::string help_text(const OptionTable& table, int columns) {
    std::string text;
    std::string group;
    for (const Option& option : table.options()) {
        if (option.group() != group) {
            group = option.group();
            text += fmt::format("{}{}:\n", text.empty() ? "" : "\n", title_of(group));
        }
        text += help_entry(option, columns);
    }
    return text;
}

std::string config_docs(const OptionTable& table) {
    std::string text(kDocsHead);
    std::string group;
    for (const Option& option : table.options()) {
        if (option.group() != group) {
            group = option.group();
            text += fmt::format(
                "\n## {}\n\n| key | value | default | may change | what it does |\n"
                "|---|---|---|---|---|\n",
                title_of(group));
        }
        text += docs_row(option);
    }
    return text;
}

}  // namespace holdfast::config
