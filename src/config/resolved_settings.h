// Settings and where each value came from. Layers are laid on in the order of precedence:
// default < config file < environment < command line.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "config/settings.h"

namespace holdfast::config {

enum class Source { kDefault, kConfigFile, kEnvironment, kCommandLine, kCheckpoint, kChosen };

// "default", "config file", "environment", "command line", "checkpoint", "chosen".
std::string_view to_string(Source source);

// A dotted key and the text given for it.
using KeyValue = std::pair<std::string, std::string>;

struct ResolvedSettings {
    Settings settings;
    std::map<std::string, Source, std::less<>> sources;  // by key; absent: kDefault

    [[nodiscard]] Source source_of(std::string_view key) const;
};

// Each lays one layer over `resolved`; on an error (kInvalid, one line with the place, the key,
// what was expected and found) `resolved` is as it was.

// `text` is the content of `path` (config_file.h). A file that gives no name names the run after
// itself: configs/shakespeare-cpu.json is "shakespeare-cpu" (kConfigFile).
base::Status apply_config_file(ResolvedSettings& resolved,
                               std::string_view text,
                               std::string_view path);

// Pairs as environ holds them. HOLDFAST_<KEY> with upper case and `__` for the dot:
// HOLDFAST_SEED, HOLDFAST_MODEL__N_LAYER. A name with `__` that is no key is an error; other
// HOLDFAST_ names belong to other parts (HOLDFAST_CACHE), unless one is a key written with a single
// `_` for the dot, which is told.
base::Status apply_environment(ResolvedSettings& resolved, std::span<const KeyValue> environment);
// The HOLDFAST_ variables of this process.
std::vector<KeyValue> process_environment();

// Pairs from the command line, in order; the last wins, lists collect. Names as a person gives them
// (OptionTable::find_by_name).
base::Status apply_command_line(ResolvedSettings& resolved, std::span<const KeyValue> pairs);

// Notes a value the program chose for an automatic option (micro_batch, lanes, threads, ...).
void set_chosen(ResolvedSettings& resolved, std::string_view key, std::string_view text);

// The whole way: file (none: an empty path was given), environment, command line. The file is read
// by the caller through the seam.
base::Result<ResolvedSettings> resolve_settings(
    const std::optional<std::pair<std::string, std::string>>& config_path_and_text,
    std::span<const KeyValue> environment,
    std::span<const KeyValue> command_line);

// The table for people: key, value, unit and source, aligned, group by group. `only_changed` leaves
// out what stands at its default.
std::string resolved_table(const ResolvedSettings& resolved, bool only_changed);

}  // namespace holdfast::config
