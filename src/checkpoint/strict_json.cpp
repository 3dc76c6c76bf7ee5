#include "checkpoint/strict_json.h"

#include <cmath>
#include <utility>

#include "base/checksum.h"

namespace holdfast::checkpoint {

using base::Error;
using base::ErrorKind;
using base::Result;
using base::Status;
using Json = nlohmann::ordered_json;

namespace {

// `"checksum":"0123456789abcdef"}` and a newline.
std::string checksum_line(std::string_view body) {
    return fmt::format("\"checksum\":\"{}\"}}\n", base::to_hex(base::checksum64(body)));
}

constexpr std::size_t kChecksumLineBytes = 31;

const Json kNoArray = Json::array();

}  // namespace

std::string with_checksum_line(std::string body) {
    body += checksum_line(body);
    return body;
}

Status check_checksum_line(std::string_view text) {
    if (text.size() < kChecksumLineBytes) {
        return Error{ErrorKind::kCorrupt, fmt::format("has only {} bytes", text.size()), 0};
    }
    const std::string_view body = text.substr(0, text.size() - kChecksumLineBytes);
    const std::string expected = checksum_line(body);
    if (expected.size() != kChecksumLineBytes || text.substr(body.size()) != expected) {
        return Error{ErrorKind::kCorrupt, "does not end in the checksum of its bytes", 0};
    }
    return Status{};
}

FieldReader::FieldReader(const Json& object, std::string where)
    : object_(object), where_(std::move(where)) {
    if (!object.is_object()) {
        fail("is not an object");
    }
}

const Json* FieldReader::take(const char* key) {
    if (!ok()) {
        return nullptr;
    }
    const auto found = object_.find(key);
    if (found == object_.end()) {
        fail(fmt::format("has no field \"{}\"", key));
        return nullptr;
    }
    ++taken_;
    return &*found;
}

void FieldReader::fail(const std::string& problem) {
    if (problem_.empty()) {
        problem_ = where_ + ' ' + problem;
    }
}

std::string FieldReader::text(const char* key) {
    const Json* value = take(key);
    if (value != nullptr && !value->is_string()) {
        fail(fmt::format("field \"{}\" is not a text", key));
    }
    return ok() && value != nullptr ? value->get<std::string>() : std::string();
}

std::int64_t FieldReader::integer(const char* key, std::int64_t least, std::int64_t most) {
    const Json* value = take(key);
    if (value == nullptr) {
        return least;
    }
    const bool too_big = value->is_number_unsigned() && value->get<std::uint64_t>() > INT64_MAX;
    if (!value->is_number_integer() || too_big || value->get<std::int64_t>() < least ||
        value->get<std::int64_t>() > most) {
        fail(fmt::format("field \"{}\" is not a whole number from {} to {}", key, least, most));
        return least;
    }
    return value->get<std::int64_t>();
}

std::uint64_t FieldReader::unsigned_integer(const char* key) {
    const Json* value = take(key);
    if (value != nullptr && !value->is_number_unsigned()) {
        fail(fmt::format("field \"{}\" is not a whole number", key));
    }
    return ok() && value != nullptr ? value->get<std::uint64_t>() : 0;
}

double FieldReader::finite_real(const char* key) {
    const Json* value = take(key);
    if (value != nullptr && (!value->is_number() || !std::isfinite(value->get<double>()))) {
        fail(fmt::format("field \"{}\" is not a number", key));
    }
    return ok() && value != nullptr ? value->get<double>() : 0.0;
}

std::uint64_t FieldReader::hex64(const char* key) {
    const auto value = base::parse_hex64(text(key));
    if (ok() && !value) {
        fail(fmt::format("field \"{}\" is not 16 hex digits", key));
    }
    return value.value_or(0);
}

std::string FieldReader::object_text(const char* key) {
    const Json* value = take(key);
    if (value != nullptr && !value->is_object()) {
        fail(fmt::format("field \"{}\" is not an object", key));
    }
    return ok() && value != nullptr ? value->dump() : std::string("{}");
}

const Json& FieldReader::array(const char* key) {
    const Json* value = take(key);
    if (value != nullptr && !value->is_array()) {
        fail(fmt::format("field \"{}\" is not a list", key));
    }
    return ok() && value != nullptr ? *value : kNoArray;
}

const Json* FieldReader::object_or_null(const char* key) {
    const Json* value = take(key);
    if (value == nullptr || value->is_null()) {
        return nullptr;
    }
    if (!value->is_object()) {
        fail(fmt::format("field \"{}\" is neither an object nor null", key));
        return nullptr;
    }
    return value;
}

Status FieldReader::done() {
    if (ok() && taken_ != object_.size()) {
        fail("has a field that this format does not know");
    }
    return ok() ? Status{} : Error{ErrorKind::kCorrupt, problem_, 0};
}

Result<std::string> compact_object(std::string_view text, std::string_view what) {
    const Result<Json> parsed = parse_strict_json<Json>(text);
    if (!parsed.ok()) {
        return Error{ErrorKind::kInvalid, fmt::format("{} {}", what, parsed.error().what), 0};
    }
    if (!parsed.value().is_object()) {
        return Error{ErrorKind::kInvalid, fmt::format("{} is not a JSON object", what), 0};
    }
    // Bytes that are not UTF-8 cannot be parsed, so this dump cannot throw.
    return parsed.value().dump();
}

}  // namespace holdfast::checkpoint
