#include "config/resolved_settings.h"

#include <algorithm>
#include <cctype>
#include <set>

#include <unistd.h>

#include <fmt/format.h>

#include "base/check.h"
#include "config/config_file.h"
#include "config/option_table.h"

namespace holdfast::config {

namespace {

constexpr std::string_view kPrefix = "HOLDFAST_";

std::string upper(std::string_view text) {
    std::string result(text);
    std::transform(result.begin(), result.end(), result.begin(), [](unsigned char c) {
        return static_cast<char>(std::toupper(c));
    });
    return result;
}

std::string with_dots_as(std::string_view key, std::string_view dot) {
    std::string name;
    for (const char c : key) {
        name += c == '.' ? std::string(dot) : std::string(1, c);
    }
    return name;
}

void put(ResolvedSettings& resolved,
         const Option& option,
         const OptionValue& value,
         Source source) {
    option.set(resolved.settings, value);
    resolved.sources[option.key] = source;
}

// "configs/shakespeare-cpu.json" as "shakespeare-cpu".
std::string stem_of(std::string_view path) {
    path = path.substr(path.rfind('/') + 1);  // npos + 1 is 0: no directory
    const std::size_t dot = path.rfind('.');
    return std::string(dot == 0 ? path : path.substr(0, dot));
}

// The option a HOLDFAST_ variable names; null when the name belongs to somebody else.
base::Result<const Option*> option_of_variable(std::string_view variable) {
    const OptionTable& table = option_table();
    const std::string_view name = variable.substr(kPrefix.size());
    for (const Option& option : table.options()) {
        if (name == upper(with_dots_as(option.key, "__"))) {
            return &option;
        }
        if (name == upper(with_dots_as(option.key, "_"))) {
            return base::Error{base::ErrorKind::kInvalid,
                               fmt::format("environment: {} is not read; for {} the name is {}{}",
                                           variable,
                                           option.key,
                                           kPrefix,
                                           upper(with_dots_as(option.key, "__")))};
        }
    }
    const std::size_t dot = name.find("__");
    if (dot == std::string_view::npos) {
        return nullptr;
    }
    std::string key = fmt::format("{}.{}", name.substr(0, dot), name.substr(dot + 2));
    std::transform(key.begin(), key.end(), key.begin(), [](unsigned char c) {
        return static_cast<char>(std::tolower(c));
    });
    return base::Error{
        base::ErrorKind::kInvalid,
        fmt::format(
            "environment: {} names no option ('{}'){}", variable, key, table.suggestion(key))};
}

}  // namespace

std::string_view to_string(Source source) {
    switch (source) {
        case Source::kDefault:
            return "default";
        case Source::kConfigFile:
            return "config file";
        case Source::kEnvironment:
            return "environment";
        case Source::kCommandLine:
            return "command line";
        case Source::kCheckpoint:
            return "checkpoint";
        case Source::kChosen:
            return "chosen";
    }
    return "";
}

Source ResolvedSettings::source_of(std::string_view key) const {
    const auto found = sources.find(key);
    return found == sources.end() ? Source::kDefault : found->second;
}

base::Status apply_config_file(ResolvedSettings& resolved,
                               std::string_view text,
                               std::string_view path) {
    auto found = parse_config_text(option_table(), text, path);
    if (!found.ok()) {
        return found.error();
    }
    resolved.settings.run.name = stem_of(path);
    resolved.sources["name"] = Source::kConfigFile;
    for (const auto& [option, value] : found.value()) {
        put(resolved, *option, value, Source::kConfigFile);
    }
    return {};
}

base::Status apply_environment(ResolvedSettings& resolved, std::span<const KeyValue> environment) {
    ResolvedSettings changed = resolved;
    for (const auto& [variable, text] : environment) {
        if (!std::string_view(variable).starts_with(kPrefix)) {
            continue;
        }
        const auto option = option_of_variable(variable);
        if (!option.ok()) {
            return option.error();
        }
        if (option.value() == nullptr) {
            continue;
        }
        const auto value = parse_option_text(*option.value(), text);
        if (!value.ok()) {
            return value.error().within("environment: " + variable);
        }
        put(changed, *option.value(), value.value(), Source::kEnvironment);
    }
    resolved = std::move(changed);
    return {};
}

std::vector<KeyValue> process_environment() {
    std::vector<KeyValue> variables;
    for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
        const std::string_view text(*entry);
        const std::size_t equals = text.find('=');
        if (text.starts_with(kPrefix) && equals != std::string_view::npos) {
            variables.emplace_back(text.substr(0, equals), text.substr(equals + 1));
        }
    }
    std::sort(variables.begin(), variables.end());
    return variables;
}

base::Status apply_command_line(ResolvedSettings& resolved, std::span<const KeyValue> pairs) {
    ResolvedSettings changed = resolved;
    std::set<std::string> lists_begun;
    for (const auto& [name, text] : pairs) {
        const auto option = option_table().find_by_name(name);
        if (!option.ok()) {
            return option.error();
        }
        auto value = parse_option_text(*option.value(), text);
        if (!value.ok()) {
            return value.error().within("--" + name);
        }
        // The first occurrence of a list replaces what lower layers gave; further ones add.
        if (option.value()->type == OptionType::kTextList &&
            !lists_begun.insert(option.value()->key).second) {
            auto whole = std::get<std::vector<std::string>>(option.value()->get(changed.settings));
            for (std::string& item : std::get<std::vector<std::string>>(value.value())) {
                whole.push_back(std::move(item));
            }
            value = OptionValue(std::move(whole));
        }
        put(changed, *option.value(), value.value(), Source::kCommandLine);
    }
    resolved = std::move(changed);
    return {};
}

void set_chosen(ResolvedSettings& resolved, std::string_view key, std::string_view text) {
    const Option* option = option_table().find(key);
    HF_CHECK(option != nullptr, "no option '{}'", key);
    const auto value = parse_option_text(*option, text);
    HF_CHECK(value.ok(), "{}: {}", key, value.ok() ? "" : value.error().what);
    put(resolved, *option, value.value(), Source::kChosen);
}

base::Result<ResolvedSettings> resolve_settings(
    const std::optional<std::pair<std::string, std::string>>& config_path_and_text,
    std::span<const KeyValue> environment,
    std::span<const KeyValue> command_line) {
    ResolvedSettings resolved;
    if (config_path_and_text) {
        const auto& [path, text] = *config_path_and_text;
        if (auto applied = apply_config_file(resolved, text, path); !applied.ok()) {
            return applied.error();
        }
    }
    if (auto applied = apply_environment(resolved, environment); !applied.ok()) {
        return applied.error();
    }
    if (auto applied = apply_command_line(resolved, command_line); !applied.ok()) {
        return applied.error();
    }
    return resolved;
}

std::string resolved_table(const ResolvedSettings& resolved, bool only_changed) {
    struct Row {
        std::string key;
        std::string value;
        std::string_view source;
    };
    std::vector<Row> rows;
    std::size_t key_width = 0;
    std::size_t value_width = 0;
    for (const Option& option : option_table().options()) {
        const Source source = resolved.source_of(option.key);
        if (only_changed && source == Source::kDefault) {
            continue;
        }
        const OptionValue held = option.get(resolved.settings);
        Row row{option.key, option_text(option, held), to_string(source)};
        const bool is_number = !row.value.empty() && row.value != option.zero_word &&
                               option.unit != "path" && !option.unit.empty();
        if (is_number) {
            row.value = fmt::format("{} {}", row.value, option.unit);
        } else if (row.value.empty() || row.value == "[]") {
            row.value.assign(1, '-');
        }
        key_width = std::max(key_width, row.key.size());
        // One long list must not push every source off the screen.
        value_width = std::max(value_width, std::min<std::size_t>(row.value.size(), 40));
        rows.push_back(std::move(row));
    }
    std::string table;
    for (const Row& row : rows) {
        table += fmt::format(
            "  {:<{}}  {:<{}}  {}\n", row.key, key_width, row.value, value_width, row.source);
    }
    return table;
}

}  // namespace holdfast::config
