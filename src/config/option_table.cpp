#include "config/option_table.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/check.h"
#include "base/words.h"

namespace holdfast::config {

std::string normal_name(std::string_view name) {
    std::string normal(name);
    std::replace(normal.begin(), normal.end(), '-', '_');
    return normal;
}

OptionTable::OptionTable(std::vector<Option> options) : options_(std::move(options)) {
    for (std::size_t i = 0; i < options_.size(); ++i) {
        for (std::size_t j = 0; j < i; ++j) {
            HF_CHECK(options_[i].key != options_[j].key, "{} is declared twice", options_[i].key);
        }
    }
}

const Option* OptionTable::find(std::string_view key) const {
    const auto found = std::find_if(options_.begin(), options_.end(), [key](const Option& option) {
        return option.key == key;
    });
    return found == options_.end() ? nullptr : &*found;
}

base::Result<const Option*> OptionTable::find_by_name(std::string_view name) const {
    const std::string normal = normal_name(name);
    if (const Option* exact = find(normal)) {
        return exact;
    }
    std::vector<const Option*> matches;
    for (const Option& option : options_) {
        for (const std::string& alias : option.aliases) {
            if (normal_name(alias) == normal) {
                return &option;
            }
        }
        if (option.last_part() == normal) {
            matches.push_back(&option);
        }
    }
    if (matches.size() == 1) {
        return matches.front();
    }
    if (matches.empty()) {
        return base::Error{
            base::ErrorKind::kInvalid,
            fmt::format("unknown option '{}'{}", base::printable(name), suggestion(name))};
    }
    std::vector<std::string> keys;
    keys.reserve(matches.size());
    for (const Option* match : matches) {
        keys.push_back(match->key);
    }
    return base::Error{
        base::ErrorKind::kInvalid,
        fmt::format("'{}' could be {}: give the whole name", name, fmt::join(keys, " or "))};
}

std::string OptionTable::suggestion(std::string_view name,
                                    const std::vector<std::string>& extra_names) const {
    std::vector<std::string> names;
    names.reserve(extra_names.size() + 2 * options_.size());
    for (const std::string& extra : extra_names) {
        names.push_back(normal_name(extra));
    }
    for (const Option& option : options_) {
        names.push_back(option.key);
        names.push_back(option.last_part());
        for (const std::string& alias : option.aliases) {
            names.push_back(normal_name(alias));
        }
    }
    const auto nearest = base::nearest_word(normal_name(name), names);
    return nearest ? fmt::format("; did you mean '{}'?", *nearest) : "";
}

}  // namespace holdfast::config
