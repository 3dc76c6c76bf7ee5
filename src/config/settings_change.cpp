#include "config/settings_change.h"

#include <set>

#include <fmt/format.h>

#include "config/option_table.h"

namespace holdfast::config {

std::vector<SettingsChange> find_changes(const Settings& stored, const Settings& requested) {
    std::vector<SettingsChange> changes;
    for (const Option& option : option_table().options()) {
        const OptionValue before = option.get(stored);
        const OptionValue after = option.get(requested);
        if (before == after || option.is_automatic(after)) {
            continue;
        }
        changes.push_back({.key = option.key,
                           .rule = option.change,
                           .stored = option_text(option, before),
                           .requested = option_text(option, after)});
    }
    return changes;
}

base::Result<ResumeSettings> settings_for_resume(const Settings& stored,
                                                 const Settings& requested,
                                                 std::span<const std::string> allowed_keys) {
    std::set<std::string> allowed;
    for (const std::string& name : allowed_keys) {
        const auto option = option_table().find_by_name(name);
        if (!option.ok()) {
            return option.error().within("--allow-change");
        }
        allowed.insert(option.value()->key);
    }
    ResumeSettings result{.settings = stored, .changes = find_changes(stored, requested)};
    for (const SettingsChange& change : result.changes) {
        const std::string was =
            fmt::format("{} was '{}' when this run began, now '{}' is asked for",
                        change.key,
                        change.stored,
                        change.requested);
        if (change.rule == ChangeRule::kFixed) {
            return base::Error{base::ErrorKind::kInvalid,
                               was +
                                   "; it cannot change within a run: start a new one in another "
                                   "--checkpoint-dir"};
        }
        if (change.rule == ChangeRule::kMathematics && !allowed.contains(change.key)) {
            return base::Error{
                base::ErrorKind::kInvalid,
                fmt::format("{}; it changes the numbers of the run: add --allow-change {} to do it "
                            "all the same",
                            was,
                            change.key)};
        }
        const Option* option = option_table().find(change.key);
        option->set(result.settings, option->get(requested));
    }
    return result;
}

}  // namespace holdfast::config
