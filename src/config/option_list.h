// How the options are written down: a list that is added to, option by option. Used only by the
// declare_*_options sources.
#pragma once

#include <algorithm>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/check.h"
#include "checkpoint/save_interval.h"
#include "config/option.h"

namespace holdfast::config {

// The words of an enumeration, in the order of declaration.
template <typename Enum>
using ChoiceNames = std::vector<std::pair<std::string, Enum>>;

class OptionList {
public:
    // `access` is a generic lambda from Settings& (const or not) to a reference to the member; the
    // type of the option follows from the type of the member.
    template <typename Access>
    OptionList& add(
        const char* key, Access access, ChangeRule change, const char* unit, const char* help) {
        using Member = std::remove_cvref_t<decltype(access(std::declval<Settings&>()))>;
        Option& option = begin(key, type_of<Member>(), change, unit, help);
        if constexpr (std::is_same_v<Member, std::uint64_t>) {
            option.get = [access](const Settings& settings) -> OptionValue {
                return static_cast<std::int64_t>(access(settings));
            };
            option.set = [access](Settings& settings, const OptionValue& value) {
                access(settings) = static_cast<std::uint64_t>(std::get<std::int64_t>(value));
            };
        } else if constexpr (std::is_same_v<Member, checkpoint::SaveInterval>) {
            option.get = [access](const Settings& settings) -> OptionValue {
                return checkpoint::to_string(access(settings));
            };
            option.set = [access](Settings& settings, const OptionValue& value) {
                const auto& text = std::get<std::string>(value);
                const auto interval = checkpoint::parse_save_interval(text);
                HF_CHECK(interval.has_value(), "'{}' was not checked", text);
                access(settings) = *interval;
            };
        } else {
            option.get = [access](const Settings& settings) -> OptionValue {
                return access(settings);
            };
            option.set = [access](Settings& settings, const OptionValue& value) {
                access(settings) = std::get<Member>(value);
            };
        }
        return *this;
    }

    // A member that is an enumeration.
    template <typename Enum, typename Access>
    OptionList& add_choice(const char* key,
                           ChoiceNames<Enum> names,
                           Access access,
                           ChangeRule change,
                           const char* help) {
        Option& option = begin(key, OptionType::kChoice, change, "", help);
        for (const auto& [word, value] : names) {
            option.choices.push_back(word);
        }
        option.get = [access, names](const Settings& settings) -> OptionValue {
            const Enum held = access(settings);
            const auto found = std::find_if(names.begin(), names.end(), [held](const auto& name) {
                return name.second == held;
            });
            HF_CHECK(found != names.end(), "an enumerator has no word");
            return found->first;
        };
        option.set = [access, names](Settings& settings, const OptionValue& value) {
            const auto& word = std::get<std::string>(value);
            const auto found = std::find_if(names.begin(), names.end(), [&word](const auto& name) {
                return name.first == word;
            });
            HF_CHECK(found != names.end(), "'{}' was not checked against the choices", word);
            access(settings) = found->second;
        };
        return *this;
    }

    // These say more about the option added last.
    OptionList& words(std::vector<std::string> choices) {  // a text member with fixed words
        options_.back().type = OptionType::kChoice;
        options_.back().choices = std::move(choices);
        return *this;
    }
    OptionList& duration() {
        options_.back().type = OptionType::kDuration;
        return *this;
    }
    OptionList& at_least(double minimum) {
        options_.back().minimum = minimum;
        return *this;
    }
    OptionList& at_most(double maximum) {
        options_.back().maximum = maximum;
        return *this;
    }
    OptionList& below(double maximum) {
        options_.back().maximum_excluded = true;
        return at_most(maximum);
    }
    OptionList& zero_is(std::string word) {
        options_.back().zero_word = std::move(word);
        return *this;
    }
    OptionList& automatic() {
        options_.back().automatic = true;
        return *this;
    }
    OptionList& also(std::vector<std::string> aliases) {
        options_.back().aliases = std::move(aliases);
        return *this;
    }

    [[nodiscard]] std::vector<Option> take() { return std::move(options_); }

private:
    template <typename Member>
    static OptionType type_of() {
        if constexpr (std::is_same_v<Member, bool>) {
            return OptionType::kBool;
        } else if constexpr (std::is_integral_v<Member>) {
            return OptionType::kInteger;
        } else if constexpr (std::is_same_v<Member, double>) {
            return OptionType::kReal;
        } else if constexpr (std::is_same_v<Member, checkpoint::SaveInterval>) {
            return OptionType::kInterval;
        } else if constexpr (std::is_same_v<Member, std::string>) {
            return OptionType::kText;
        } else {
            static_assert(std::is_same_v<Member, std::vector<std::string>>);
            return OptionType::kTextList;
        }
    }

    Option& begin(
        const char* key, OptionType type, ChangeRule change, const char* unit, const char* help) {
        Option& option = options_.emplace_back();
        option.key = key;
        option.type = type;
        option.change = change;
        option.unit = unit;
        option.help = help;
        return option;
    }

    std::vector<Option> options_;
};

// The parts of the table, in the order in which it shows them.
void declare_run_options(OptionList& list);      // run, data, batch, train
void declare_model_options(OptionList& list);    // model, optimizer, schedule
void declare_keeping_options(OptionList& list);  // checkpoint, log, dist

}  // namespace holdfast::config
