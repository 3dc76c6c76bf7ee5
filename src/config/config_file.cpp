#include "config/config_file.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

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
    const std::string_view at = "parse error at ";
    const std::size_t start = message.find(at);
    return std::string(start == std::string_view::npos ? message
                                                       : message.substr(start + at.size()));
}

// Every object's keys while the text is read: JSON readers keep the last of two silently.
class RepeatedKeys {
public:
    void see(Json::parse_event_t event, const Json& parsed) {
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
    }
    [[nodiscard]] const std::string& repeated() const { return repeated_; }

private:
    std::vector<std::set<std::string>> open_;
    std::string repeated_;
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
            return invalid(
                fmt::format("{}: unknown key '{}'{}", path_, key, table_.suggestion(key, groups)));
        }
        if (!value.is_object()) {
            return invalid(fmt::format("{}: {}: expected a group {{...}}, found {}",
                                       path_,
                                       key,
                                       value.dump(-1, ' ', false, Json::error_handler_t::replace)));
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
    RepeatedKeys keys;
    Json root;
    try {
        root = Json::parse(
            text,
            [&keys](int /*depth*/, Json::parse_event_t event, Json& parsed) {
                keys.see(event, parsed);
                return true;
            },
            /*allow_exceptions=*/true,
            /*ignore_comments=*/true);
    } catch (const Json::parse_error& error) {
        // The library tells line and column only this way.
        return invalid(fmt::format("{}: {}", path, parse_message(error.what())));
    }
    if (!root.is_object()) {
        return invalid(fmt::format("{}: expected an object {{...}} of options", path));
    }
    if (!keys.repeated().empty()) {
        return invalid(fmt::format("{}: '{}' is given twice", path, keys.repeated()));
    }
    Flattener flattener(table, path);
    if (auto added = flattener.add_object("", root); !added.ok()) {
        return added.error();
    }
    return flattener.take();
}

}  // namespace holdfast::config
