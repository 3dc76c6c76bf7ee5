#include "train/file_message.h"

#include <utility>

#include <nlohmann/json.hpp>

#include "base/words.h"
#include "checkpoint/strict_json.h"

namespace holdfast::train {

using base::Error;
using base::ErrorKind;
using base::Result;
using base::Status;

namespace {

using Json = nlohmann::ordered_json;

constexpr std::int64_t kLastCall = static_cast<std::int64_t>(FileCall::kList);
constexpr std::int64_t kLastMode = static_cast<std::int64_t>(fs::OpenMode::kOpenOrCreate);
constexpr std::int64_t kLastType = static_cast<std::int64_t>(fs::EntryType::kOther);
constexpr std::int64_t kLastKind = static_cast<std::int64_t>(ErrorKind::kExists);
constexpr std::int64_t kModeMax = 07777;
// Of an error's words, however long the path in them: an answer fits its message.
constexpr std::size_t kWordsMax = 1000;

// An error may quote bytes that are no UTF-8.
std::string print(const Json& json) {
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// An object of fields, or what is wrong with it.
Result<Json> parse(std::string_view text) {
    Result<Json> json = checkpoint::parse_strict_json<Json>(text);
    if (json.ok() && !json.value().is_object()) {
        return Error{ErrorKind::kCorrupt, "a message about files is no object", 0};
    }
    return json;
}

Json print_status(const fs::FileStatus& status) {
    return {{"type", static_cast<std::int64_t>(status.type)},
            {"bytes", status.bytes},
            {"allocated", status.allocated_bytes},
            {"device", status.device},
            {"inode", status.inode},
            {"links", status.link_count},
            {"mode", status.mode}};
}

fs::FileStatus read_status(checkpoint::FieldReader& fields) {
    fs::FileStatus status;
    status.type = static_cast<fs::EntryType>(fields.integer("type", 0, kLastType));
    status.bytes = fields.unsigned_integer("bytes");
    status.allocated_bytes = fields.unsigned_integer("allocated");
    status.device = fields.unsigned_integer("device");
    status.inode = fields.unsigned_integer("inode");
    status.link_count = fields.unsigned_integer("links");
    status.mode = static_cast<std::uint32_t>(fields.integer("mode", 0, kModeMax));
    return status;
}

}  // namespace

std::string print_file_question(const FileQuestion& question) {
    return print({{"call", static_cast<std::int64_t>(question.call)},
                  {"path", question.path},
                  {"open", static_cast<std::int64_t>(question.options.mode)},
                  {"direct", question.options.direct ? 1 : 0},
                  {"permissions", question.options.permissions},
                  {"file", question.file},
                  {"offset", question.offset},
                  {"bytes", question.bytes}});
}

Result<FileQuestion> parse_file_question(std::string_view text) {
    const Result<Json> json = parse(text);
    if (!json.ok()) {
        return json.error();
    }
    checkpoint::FieldReader fields(json.value(), "a question about files");
    FileQuestion question;
    question.call = static_cast<FileCall>(fields.integer("call", 0, kLastCall));
    question.path = fields.text("path");
    question.options.mode = static_cast<fs::OpenMode>(fields.integer("open", 0, kLastMode));
    question.options.direct = fields.integer("direct", 0, 1) == 1;
    question.options.permissions =
        static_cast<std::uint32_t>(fields.integer("permissions", 0, kModeMax));
    question.file = fields.integer("file");
    question.offset = fields.unsigned_integer("offset");
    question.bytes = fields.unsigned_integer("bytes");
    if (const Status done = fields.done(); !done.ok()) {
        return done.error();
    }
    return question;
}

std::string print_file_answer(const FileAnswer& answer) {
    if (!answer.status.ok()) {
        const Error& error = answer.status.error();
        return print({{"kind", static_cast<std::int64_t>(error.kind)},
                      {"errno", error.os_errno},
                      {"what", base::printable(error.what, kWordsMax)}});
    }
    return print({{"file", answer.file},
                  {"count", answer.bytes},
                  {"status", print_status(answer.file_status)}});
}

Result<FileAnswer> parse_file_answer(std::string_view text) {
    const Result<Json> json = parse(text);
    if (!json.ok()) {
        return json.error();
    }
    checkpoint::FieldReader fields(json.value(), "an answer about files");
    FileAnswer answer;
    if (json.value().contains("kind")) {
        const auto kind = static_cast<ErrorKind>(fields.integer("kind", 0, kLastKind));
        const auto os_errno = static_cast<int>(fields.integer("errno", 0, 4095));
        answer.status = Error{kind, fields.text("what"), os_errno};
    } else {
        answer.file = fields.integer("file");
        answer.bytes = fields.unsigned_integer("count");
        if (const Json* status = fields.object_or_null("status")) {
            checkpoint::FieldReader status_fields(*status, "an answer about files");
            answer.file_status = read_status(status_fields);
            if (const Status done = status_fields.done(); !done.ok()) {
                return done.error();
            }
        }
    }
    if (const Status done = fields.done(); !done.ok()) {
        return done.error();
    }
    return answer;
}

}  // namespace holdfast::train
