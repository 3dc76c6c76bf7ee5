// The command line of a command: its own options and, where it takes them, all options of the
// table.
//
// `--key=value` and `--key value`; '-' and '_' are the same in names; the last part of a key alone
// where it is unique ("--max-steps 500"); switches as --flag, --no-flag, --flag=true|false|1|0;
// `--set key=value` for any key; `--` ends options. A command's own option wins over a last part of
// the same name.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "config/option_table.h"
#include "config/resolved_settings.h"

namespace holdfast::config {

// An option that is not a setting of a run: "--config FILE", "--json".
struct CommandOption {
    std::string name;        // without dashes: "dry-run"
    std::string value_name;  // "FILE"; empty: a switch
    std::string help;
    std::string short_name{};  // one letter, for "-o"; empty: none
};

struct CommandLine {
    std::vector<KeyValue> settings;  // full dotted keys, in order
    std::map<std::string, std::vector<std::string>, std::less<>> options;  // by CommandOption::name
    std::vector<std::string> positional;

    // Whether it was given; of a switch, whether it is on: the last word counts.
    [[nodiscard]] bool has(std::string_view name) const;
    // The last value given, or `otherwise`. A switch given is "true".
    [[nodiscard]] std::string value(std::string_view name, std::string_view otherwise = "") const;
    [[nodiscard]] std::vector<std::string> values(std::string_view name) const;
};

// `arguments` without the program and the command name. `table` null: the command takes no
// settings. kInvalid, one line: unknown name (with the nearest), a value missing or not of its
// type. Settings are checked to be readable here, so the message can say where they stand.
base::Result<CommandLine> parse_command_line(const OptionTable* table,
                                             std::span<const CommandOption> command_options,
                                             std::span<const std::string> arguments);

}  // namespace holdfast::config
