// JSON texts that are believed only when strict: no doubled keys, bounded depth, nothing after the
// value; and a checksum as their last line. Shared by the manifest and run.json. No exceptions
// leave here.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/result.h"
#include "base/words.h"

namespace holdfast::checkpoint {

inline constexpr int kJsonDepthMax = 64;

// `Json` is nlohmann::json (keys sorted, fast look-up) or nlohmann::ordered_json (order kept).
// kCorrupt with a short reason.
template <typename Json>
base::Result<Json> parse_strict_json(std::string_view text) {
    std::vector<std::unordered_set<std::string>> keys_by_depth;
    std::string problem;
    const auto look = [&](int depth, typename Json::parse_event_t event, Json& parsed) {
        if (depth > kJsonDepthMax) {
            problem = fmt::format("is nested deeper than {}", kJsonDepthMax);
        } else if (event == Json::parse_event_t::object_start) {
            keys_by_depth.resize(static_cast<std::size_t>(depth) + 1);
            keys_by_depth.back().clear();
        } else if (event == Json::parse_event_t::key) {
            const auto& key = parsed.template get_ref<const std::string&>();
            if (!keys_by_depth.at(static_cast<std::size_t>(depth) - 1).insert(key).second) {
                problem = fmt::format("has the key \"{}\" twice", base::printable(key));
            }
        }
        // What comes after a problem is read and not kept.
        return problem.empty();
    };
    Json value = Json::parse(text.begin(), text.end(), look, false);
    if (value.is_discarded() && problem.empty()) {
        problem = "is not JSON";
    }
    if (!problem.empty()) {
        return base::Error{base::ErrorKind::kCorrupt, problem, 0};
    }
    return value;
}

// "{" lines... with `"checksum":"<16 hex>"}` and a newline added: the form of a manifest. `body`
// is everything before that line and ends in ",\n".
std::string with_checksum_line(std::string body);

// Checks the last line against the bytes before it. kCorrupt: torn, changed or followed by more.
base::Status check_checksum_line(std::string_view text);

// Reads the fields of an object one by one; the first problem is kept, later calls answer defaults,
// so that a parser reads straight through. done() tells it, or a field that nobody took.
class FieldReader {
public:
    FieldReader(const nlohmann::ordered_json& object, std::string where);

    std::string text(const char* key);
    std::int64_t integer(const char* key,
                         std::int64_t least = 0,
                         std::int64_t most = std::numeric_limits<std::int64_t>::max());
    std::uint64_t unsigned_integer(const char* key);
    double finite_real(const char* key);
    std::uint64_t hex64(const char* key);
    // The compact text of a member that must be an object.
    std::string object_text(const char* key);
    // The member itself; an empty array when it is missing or of another type.
    const nlohmann::ordered_json& array(const char* key);
    // Null allowed: nullptr then.
    const nlohmann::ordered_json* object_or_null(const char* key);

    void fail(const std::string& problem);
    [[nodiscard]] bool ok() const { return problem_.empty(); }
    [[nodiscard]] base::Status done();

private:
    const nlohmann::ordered_json* take(const char* key);

    const nlohmann::ordered_json& object_;
    std::string where_;
    std::size_t taken_ = 0;
    std::string problem_;
};

// The compact form of an object's text (numbers to the same bits). kInvalid when it is none.
base::Result<std::string> compact_object(std::string_view text, std::string_view what);

}  // namespace holdfast::checkpoint
