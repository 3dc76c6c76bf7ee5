#include "checkpoint/run_identity.h"

#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "checkpoint/checkpoint_name.h"
#include "checkpoint/strict_json.h"

namespace holdfast::checkpoint {

using base::Error;
using base::ErrorKind;
using base::Result;
using base::Status;
using Json = nlohmann::ordered_json;

Result<std::string> print_run_identity(const RunIdentity& identity) {
    Result<std::string> config = compact_object(identity.config, "the config");
    if (!config.ok()) {
        return config.error();
    }
    if (!is_save_id(identity.run_id) || identity.lanes < 1 || identity.created_utc_seconds < 0) {
        return Error{ErrorKind::kInvalid, "run.json cannot be written: impossible values", 0};
    }
    std::string body = "{\n";
    body += fmt::format("\"format\":{},\n", kFormatVersion);
    body += fmt::format("\"run_id\":{},\n", Json(identity.run_id).dump());
    body += fmt::format("\"created\":{},\n", identity.created_utc_seconds);
    body += fmt::format("\"config\":{},\n", config.value());
    body += fmt::format(
        "\"data_fingerprint\":{},\n",
        Json(identity.data_fingerprint).dump(-1, ' ', false, Json::error_handler_t::replace));
    body += fmt::format("\"lanes\":{},\n", identity.lanes);
    std::string text = with_checksum_line(std::move(body));
    HF_CHECK(parse_run_identity(text).ok(), "a printed run.json does not parse");
    return text;
}

Result<RunIdentity> parse_run_identity(std::string_view text) {
    if (const Status sound = check_checksum_line(text); !sound.ok()) {
        return sound.error();
    }
    const Result<Json> parsed = parse_strict_json<Json>(text);
    if (!parsed.ok()) {
        return parsed.error();
    }
    FieldReader fields(parsed.value(), kRunFileName.data());
    const std::int64_t version = fields.integer("format", 1);
    if (fields.ok() && version > kFormatVersion) {
        return Error{ErrorKind::kInvalid,
                     fmt::format("{} has format version {}; this program knows up to {}",
                                 kRunFileName,
                                 version,
                                 kFormatVersion),
                     0};
    }
    RunIdentity identity;
    identity.run_id = fields.text("run_id");
    identity.created_utc_seconds = fields.integer("created");
    identity.config = fields.object_text("config");
    identity.data_fingerprint = fields.text("data_fingerprint");
    identity.lanes = fields.integer("lanes", 1);
    fields.text("checksum");
    if (fields.ok() && !is_save_id(identity.run_id)) {
        fields.fail("has a run_id that is not 16 hex digits");
    }
    if (const Status status = fields.done(); !status.ok()) {
        return status.error();
    }
    return identity;
}

RunIdentity run_identity_of(const Manifest& manifest) {
    return RunIdentity{.run_id = manifest.run_id,
                       .created_utc_seconds = manifest.created_utc_seconds,
                       .config = manifest.config,
                       .data_fingerprint = manifest.data_fingerprint,
                       .lanes = manifest.lanes};
}

}  // namespace holdfast::checkpoint
