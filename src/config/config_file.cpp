#include "config/config_file.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/words.h"

namespace holdfast::config {

namespace {

using Json = nlohmann::ordered_json;
using Found = std::vector<std::pair<const Option*, OptionValue>>;

base::Error invalid(std::string what) {
    return {base::ErrorKind::kInvalid, std::move(what)};
}

// "[json.exception.parse_error.101] parse error at line 3, column 7: syntax error while parsing
// value - ..." without what only the library's author needs.
std::string parse_message(std::string_view message) {
    constexpr std::size_t kShownBytesMax = 400;
    for (const std::string_view before : {"] ", "parse error at "}) {
        const std::size_t start = message.find(before);
        if (start != std::string_view::npos) {
            message.remove_prefix(start + before.size());
        }
    }
    return base::printable(message, kShownBytesMax);
}

// What a JSON reader passes over while the text is read: the first of two equal keys of an object,
// and a depth at which whoever walks the values by recursion runs out of stack.
class TextCheck {
public:
    // Whether the value is to be kept.
    bool see(int depth, Json::parse_event_t event, const Json& parsed) {
        constexpr int kDepthMax = 16;
        is_too_deep_ = is_too_deep_ || depth > kDepthMax;
        if (event == Json::parse_event_t::object_start) {
            open_.emplace_back();
        } else if (event == Json::parse_event_t::object_end) {
            open_.pop_back();
        } else if (event == Json::parse_event_t::key) {
            const auto& key = parsed.get_ref<const std::string&>();
            if (!open_.back().insert(key).second && repeated_.empty()) {
                repeated_ = key;
            }
        }
        return !is_too_deep_;
    }
    [[nodiscard]] const std::string& repeated() const { return repeated_; }
    [[nodiscard]] bool is_too_deep() const { return is_too_deep_; }

private:
    std::vector<std::set<std::string>> open_;
    std::string repeated_;
    bool is_too_deep_ = false;
};

class Flattener {
public:
    Flattener(const OptionTable& table, std::string_view path) : table_(table), path_(path) {}

    base::Status add_object(const std::string& prefix, const Json& object) {
        for (const auto& [name, value] : object.items()) {
            if (auto added = add(prefix + name, value); !added.ok()) {
                return added;
            }
        }
        return {};
    }

    Found take() { return std::move(found_); }

private:
    base::Status add(const std::string& key, const Json& value) {
        const Option* option = table_.find(key);
        if (option == nullptr) {
            return add_group(key, value);
        }
        const bool repeated = std::any_of(found_.begin(), found_.end(), [option](const auto& item) {
            return item.first == option;
        });
        if (repeated) {
            return invalid(fmt::format("{}: '{}' is given twice", path_, key));
        }
        auto parsed = parse_option_json(*option, value);
        if (!parsed.ok()) {
            return parsed.error().within(fmt::format("{}: {}", path_, key));
        }
        found_.emplace_back(option, std::move(parsed).value());
        return {};
    }

    base::Status add_group(const std::string& key, const Json& value) {
        std::vector<std::string> groups;
        for (const Option& option : table_.options()) {
            if (option.key.find('.') != std::string::npos) {
                groups.push_back(option.group());
            }
        }
        if (std::find(groups.begin(), groups.end(), key) == groups.end()) {
            return invalid(fmt::format("{}: unknown key '{}'{}",
                                       path_,
                                       base::printable(key),
                                       table_.suggestion(key, groups)));
        }
        if (!value.is_object()) {
            return invalid(fmt::format("{}: {}: expected a group {{...}}, found {}",
                                       path_,
                                       key,
                                       base::printable(value.dump())));
        }
        return add_object(key + '.', value);
    }

    const OptionTable& table_;
    std::string_view path_;
    Found found_;
};

}  // namespace

base::Result<Found> parse_config_text(const OptionTable& table,
                                      std::string_view text,
                                      std::string_view path) {
    TextCheck check;
    Json root;
    try {
        root = Json::parse(
            text,
            [&check](int depth, Json::parse_event_t event, Json& parsed) {
                return check.see(depth, event, parsed);
            },
            /*allow_exceptions=*/true,
            /*ignore_comments=*/true);
    } catch (const Json::exception& error) {
        // The library tells line and column only this way; a number too large for a double is
        // another exception than what is no JSON.
        return invalid(fmt::format("{}: {}", path, parse_message(error.what())));
    }
    if (check.is_too_deep()) {
        return invalid(fmt::format("{}: lists or groups stand too deep in each other", path));
    }
    if (!root.is_object()) {
        return invalid(fmt::format("{}: expected an object {{...}} of options", path));
    }
    if (!check.repeated().empty()) {
        return invalid(
            fmt::format("{}: '{}' is given twice", path, base::printable(check.repeated())));
    }
    Flattener flattener(table, path);
    if (auto added = flattener.add_object("", root); !added.ok()) {
        return added.error();
    }
    return flattener.take();
}

}  // namespace holdfast::config
