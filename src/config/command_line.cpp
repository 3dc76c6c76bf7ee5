#include "config/command_line.h"

#include <algorithm>
#include <optional>

#include <cxxopts.hpp>
#include <fmt/format.h>

namespace holdfast::config {

namespace {

base::Error invalid(std::string what) {
    return {base::ErrorKind::kInvalid, std::move(what)};
}

// What a name on the command line stands for: exactly one of the two, and whether as --no-NAME.
struct Named {
    const CommandOption* command = nullptr;
    const Option* setting = nullptr;
    bool negated = false;

    [[nodiscard]] bool is_switch() const {
        return command != nullptr ? command->value_name.empty()
                                  : setting->type == OptionType::kBool;
    }
    [[nodiscard]] const std::string& canonical() const {
        return command != nullptr ? command->name : setting->key;
    }
};

// Turns what people write into the one spelling cxxopts is given: `--full.key value`, switches with
// their value, everything else after `--`. cxxopts itself knows neither '-' = '_' nor last parts.
class Normaliser {
public:
    Normaliser(const OptionTable* table,
               std::span<const CommandOption> command_options,
               std::span<const std::string> arguments)
        : table_(table), command_options_(command_options), arguments_(arguments) {}

    base::Status run() {
        while (next_ < arguments_.size()) {
            const std::string& argument = arguments_[next_++];
            if (argument == "--") {
                positional_.insert(positional_.end(),
                                   arguments_.begin() + static_cast<std::ptrdiff_t>(next_),
                                   arguments_.end());
                break;
            }
            if (argument.size() < 2 || argument[0] != '-') {
                positional_.push_back(argument);
                continue;
            }
            if (auto taken = take(argument); !taken.ok()) {
                return taken;
            }
        }
        words_.push_back("--");
        words_.insert(words_.end(), positional_.begin(), positional_.end());
        return {};
    }

    [[nodiscard]] const std::vector<std::string>& words() const { return words_; }

private:
    base::Status take(const std::string& argument) {
        const bool is_long = argument[1] == '-';
        const std::string body = argument.substr(is_long ? 2 : 1);
        const std::size_t equals = body.find('=');
        const std::string name = body.substr(0, equals);
        std::optional<std::string> value;
        if (equals != std::string::npos) {
            value = body.substr(equals + 1);
        }
        if (is_long && name == "set" && table_ != nullptr) {
            return take_set(value);
        }
        const auto named = is_long ? find(name) : find_short(name);
        if (!named.ok()) {
            return named.error();
        }
        return take_value(named.value(), argument.substr(0, is_long ? name.size() + 2 : 2), value);
    }

    base::Status take_set(std::optional<std::string> pair) {
        if (!pair && next_ < arguments_.size()) {
            pair = arguments_[next_++];
        }
        const std::size_t equals = pair ? pair->find('=') : std::string::npos;
        if (equals == std::string::npos) {
            return invalid("--set: expected key=value" + (pair ? ", found '" + *pair + "'" : ""));
        }
        const auto option = table_->find_by_name(pair->substr(0, equals));
        if (!option.ok()) {
            return option.error().within("--set");
        }
        Named named;
        named.setting = option.value();
        return take_value(named, "--set " + pair->substr(0, equals), pair->substr(equals + 1));
    }

    base::Status take_value(const Named& named,
                            const std::string& shown,
                            std::optional<std::string> value) {
        if (named.is_switch()) {
            if (named.negated && value) {
                return invalid(fmt::format("{}: takes no value", shown));
            }
            const bool next_is_value =
                !value && !named.negated && next_ < arguments_.size() &&
                (arguments_[next_] == "true" || arguments_[next_] == "false");
            if (next_is_value) {
                value = arguments_[next_++];
            }
            value = value.value_or(named.negated ? "false" : "true");
        } else if (!value) {
            if (next_ == arguments_.size() || arguments_[next_].starts_with("--")) {
                return invalid(fmt::format("{}: a value is missing ({})", shown, wanted(named)));
            }
            value = arguments_[next_++];
        }
        if (auto readable = check(named, *value); !readable.ok()) {
            return readable.error().within(shown);
        }
        words_.push_back("--" + named.canonical());
        words_.push_back(*value);
        return {};
    }

    static std::string wanted(const Named& named) {
        return named.setting != nullptr ? named.setting->expectation() : named.command->value_name;
    }

    static base::Status check(const Named& named, const std::string& value) {
        if (named.setting != nullptr) {
            const auto parsed = parse_option_text(*named.setting, value);
            return parsed.ok() ? base::Status{} : base::Status{parsed.error()};
        }
        if (named.is_switch() && value != "true" && value != "false" && value != "1" &&
            value != "0") {
            return invalid(fmt::format("expected true, false, 1 or 0, found '{}'", value));
        }
        return {};
    }

    base::Result<Named> find_short(const std::string& name) const {
        for (const CommandOption& option : command_options_) {
            if (!option.short_name.empty() && option.short_name == name) {
                return Named{.command = &option};
            }
        }
        return invalid(fmt::format("unknown option '-{}'", name));
    }

    base::Result<Named> find(const std::string& name) const {
        const std::string normal = normal_name(name);
        if (const CommandOption* command = find_command(normal)) {
            return Named{.command = command};
        }
        std::optional<base::Error> problem;
        if (table_ != nullptr) {
            const auto setting = table_->find_by_name(normal);
            if (setting.ok()) {
                return Named{.setting = setting.value()};
            }
            problem = setting.error();
        }
        if (normal.starts_with("no_")) {
            const std::string rest = normal.substr(3);
            if (const CommandOption* command = find_command(rest);
                command != nullptr && command->value_name.empty()) {
                return Named{.command = command, .negated = true};
            }
            if (table_ != nullptr) {
                const auto setting = table_->find_by_name(rest);
                if (setting.ok() && setting.value()->type == OptionType::kBool) {
                    return Named{.setting = setting.value(), .negated = true};
                }
            }
        }
        // A last part that several share is told as such; anything else is an unknown name.
        if (problem && problem->what.find("could be") != std::string::npos) {
            return *problem;
        }
        return invalid(fmt::format("unknown option '--{}'{}", name, suggestion(name)));
    }

    [[nodiscard]] const CommandOption* find_command(const std::string& normal) const {
        const auto found = std::find_if(
            command_options_.begin(), command_options_.end(), [&normal](const CommandOption& o) {
                return normal_name(o.name) == normal;
            });
        return found == command_options_.end() ? nullptr : &*found;
    }

    [[nodiscard]] std::string suggestion(const std::string& name) const {
        std::vector<std::string> names;
        names.reserve(command_options_.size());
        for (const CommandOption& option : command_options_) {
            names.push_back(option.name);
        }
        static const OptionTable kNoSettings({});
        return (table_ != nullptr ? *table_ : kNoSettings).suggestion(name, names);
    }

    const OptionTable* table_;
    std::span<const CommandOption> command_options_;
    std::span<const std::string> arguments_;
    std::size_t next_ = 0;
    std::vector<std::string> words_;
    std::vector<std::string> positional_;
};

// Of a switch.
bool is_off(const std::string& value) {
    return value == "false" || value == "0";
}

cxxopts::Options cxxopts_of(const OptionTable* table,
                            std::span<const CommandOption> command_options) {
    cxxopts::Options options("holdfast");
    options.allow_unrecognised_options();  // what follows `--`; names were checked before
    auto add = options.add_options();
    for (const CommandOption& option : command_options) {
        add(option.name, option.help, cxxopts::value<std::string>());
    }
    if (table != nullptr) {
        for (const Option& option : table->options()) {
            const bool hidden = std::any_of(
                command_options.begin(), command_options.end(), [&option](const CommandOption& o) {
                    return o.name == option.key;
                });
            if (!hidden) {
                add(option.key, option.help, cxxopts::value<std::string>());
            }
        }
    }
    return options;
}

}  // namespace

bool CommandLine::has(std::string_view name) const {
    return options.contains(name);
}

std::string CommandLine::value(std::string_view name, std::string_view otherwise) const {
    const auto found = options.find(name);
    return found == options.end() ? std::string(otherwise) : found->second.back();
}

std::vector<std::string> CommandLine::values(std::string_view name) const {
    const auto found = options.find(name);
    return found == options.end() ? std::vector<std::string>{} : found->second;
}

base::Result<CommandLine> parse_command_line(const OptionTable* table,
                                             std::span<const CommandOption> command_options,
                                             std::span<const std::string> arguments) {
    Normaliser normaliser(table, command_options, arguments);
    if (auto normal = normaliser.run(); !normal.ok()) {
        return normal.error();
    }
    std::vector<const char*> words = {"holdfast"};
    for (const std::string& word : normaliser.words()) {
        words.push_back(word.c_str());
    }
    CommandLine line;
    try {
        const auto parsed =
            cxxopts_of(table, command_options).parse(static_cast<int>(words.size()), words.data());
        for (const cxxopts::KeyValue& pair : parsed.arguments()) {
            const auto command = std::find_if(
                command_options.begin(), command_options.end(), [&pair](const CommandOption& o) {
                    return o.name == pair.key();
                });
            if (command == command_options.end()) {
                line.settings.emplace_back(pair.key(), pair.value());
            } else if (command->value_name.empty() && is_off(pair.value())) {
                line.options.erase(pair.key());
            } else {
                line.options[pair.key()].push_back(pair.value());
            }
        }
        line.positional = parsed.unmatched();
    } catch (const cxxopts::exceptions::exception& error) {
        // The library's only way to report; everything a user can do wrong was told before.
        return invalid(error.what());
    }
    return line;
}

}  // namespace holdfast::config
