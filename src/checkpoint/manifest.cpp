#include "checkpoint/manifest.h"

#include <algorithm>
#include <cmath>
#include <span>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "base/checksum.h"
#include "base/clock.h"
#include "checkpoint/file_record_json.h"
#include "checkpoint/strict_json.h"

namespace holdfast::checkpoint {

using base::Error;
using base::ErrorKind;
using base::Result;
using base::Status;
using Json = nlohmann::ordered_json;

namespace {

Json identity_json(const Identity& identity) {
    return Json{
        {"lineage", identity.lineage}, {"step", identity.step}, {"save_id", identity.save_id}};
}

Identity read_identity(const Json& json, const std::string& where, FieldReader& outer) {
    FieldReader fields(json, where);
    Identity identity;
    identity.lineage = fields.integer("lineage", 1);
    identity.step = fields.integer("step");
    identity.save_id = fields.text("save_id");
    if (fields.ok() && !is_save_id(identity.save_id)) {
        fields.fail("save_id is not 16 hex digits");
    }
    if (const Status status = fields.done(); !status.ok()) {
        outer.fail(status.error().what);
    }
    return identity;
}

// What must hold of a manifest beyond the type of each field. Empty when it holds.
std::string find_contradiction(const Manifest& m) {
    if (!is_save_id(m.run_id) || !is_save_id(m.identity.save_id)) {
        return "run_id or save_id is not 16 hex digits";
    }
    if (m.identity.lineage < 1 || m.identity.step < 0 || m.lanes < 1 || m.tokens < 0 ||
        m.cursor.epoch < 0 || m.cursor.sample < 0 || m.cursor.offset < 0 ||
        m.created_utc_seconds < 0) {
        return "a number is below its least value";
    }
    std::int64_t lineage_before = 0;
    for (const Identity& fork : m.ancestors) {
        if (fork.lineage <= lineage_before || fork.lineage >= m.identity.lineage) {
            return "ancestors are not in order of lineage, or not before it";
        }
        lineage_before = fork.lineage;
    }
    if (m.ancestors.empty() != (m.identity.lineage == 1)) {
        return "lineage 1 has no ancestors, and every later one has";
    }
    if (m.best && !std::isfinite(m.best->val_loss)) {
        return "the best loss is not a number";
    }
    if (std::any_of(m.owed.begin(), m.owed.end(), is_backup)) {
        return "a backup is owed: second copies are made beside, and nothing waits for them";
    }
    std::vector<std::string> names;
    for (const FileRecord& file : m.files) {
        if (!is_data_file_name(file.name) || file.checksum != chunks_checksum(file.chunks)) {
            return "a file's name or checksum is impossible";
        }
        names.push_back(file.name);
    }
    std::sort(names.begin(), names.end());
    if (std::adjacent_find(names.begin(), names.end()) != names.end()) {
        return "a file is listed twice";
    }
    return {};
}

Json best_json(const std::optional<BestSoFar>& best) {
    if (!best) {
        return nullptr;
    }
    return Json{
        {"step", best->step}, {"val_loss", best->val_loss}, {"validation", best->validation}};
}

std::string print_body(const Manifest& m) {
    std::string text = "{\n";
    const auto line = [&](const char* key, const Json& value) {
        text += fmt::format("\"{}\":{},\n", key, value.dump());
    };
    Json ancestors = Json::array();
    for (const Identity& fork : m.ancestors) {
        ancestors.push_back(identity_json(fork));
    }
    Json probes = Json::array();
    for (const StreamProbe& probe : m.probes) {
        probes.push_back(Json{{"stream", probe.stream}, {"value", base::to_hex(probe.value)}});
    }
    Json owed = Json::array();
    for (const Pool pool : m.owed) {
        owed.push_back(to_string(pool));
    }
    line("format", kFormatVersion);
    line("run_id", m.run_id);
    line("identity", identity_json(m.identity));
    line("ancestors", ancestors);
    line("created", m.created_utc_seconds);
    line("phase", m.phase);
    text += fmt::format("\"metrics\":{},\n", m.metrics_line);
    line("best", best_json(m.best));
    line("evaluation", m.evaluation == EvaluationState::kDue ? "due" : "none");
    line("tokens", m.tokens);
    line("cursor",
         Json{{"epoch", m.cursor.epoch},
              {"sample", m.cursor.sample},
              {"shard", m.cursor.shard},
              {"offset", m.cursor.offset}});
    line("seed", m.seed);
    line("lanes", m.lanes);
    line("probes", probes);
    text += fmt::format("\"config\":{},\n", m.config);
    line("data_fingerprint", m.data_fingerprint);
    text += fmt::format("\"environment\":{},\n", m.environment);
    line("owed", owed);
    line("log", Json{{"bytes", m.log.bytes}, {"checksum", base::to_hex(m.log.checksum)}});
    line("readback", m.readback == Readback::kDevice ? "device" : "cache");
    text += "\"files\":[\n";
    for (std::size_t i = 0; i < m.files.size(); ++i) {
        text += file_record_json(m.files[i]).dump() + (i + 1 < m.files.size() ? ",\n" : "\n");
    }
    text += "],\n";
    return text;
}

// The text as JSON can hold it: bytes that are not UTF-8 (a shard's file name may have them) become
// U+FFFD.
void make_utf8(std::string& text) {
    text = Json::parse(Json(text).dump(-1, ' ', false, Json::error_handler_t::replace));
}

// One of two words, as the index.
std::size_t read_word(FieldReader& fields,
                      const char* key,
                      std::string_view a,
                      std::string_view b) {
    const std::string word = fields.text(key);
    if (fields.ok() && word != a && word != b) {
        fields.fail(fmt::format("field \"{}\" is neither \"{}\" nor \"{}\"", key, a, b));
    }
    return word == b ? 1 : 0;
}

std::optional<BestSoFar> read_best(FieldReader& outer) {
    const Json* json = outer.object_or_null("best");
    if (json == nullptr) {
        return std::nullopt;
    }
    FieldReader fields(*json, "best");
    BestSoFar best;
    best.step = fields.integer("step");
    best.val_loss = fields.finite_real("val_loss");
    best.validation = fields.text("validation");
    if (const Status status = fields.done(); !status.ok()) {
        outer.fail(status.error().what);
    }
    return best;
}

const Json& member(const Json& object, const char* key) {
    static const Json kNull;
    const auto found = object.is_object() ? object.find(key) : object.end();
    return found == object.end() ? kNull : *found;
}

void read_records(const Json& json, FieldReader& fields, Manifest& m) {
    FieldReader cursor(member(json, "cursor"), "cursor");
    m.cursor.epoch = cursor.integer("epoch");
    m.cursor.sample = cursor.integer("sample");
    m.cursor.shard = cursor.text("shard");
    m.cursor.offset = cursor.integer("offset");
    FieldReader log(member(json, "log"), "log");
    m.log.bytes = log.unsigned_integer("bytes");
    m.log.checksum = log.hex64("checksum");
    for (FieldReader* part : {&cursor, &log}) {
        if (const Status status = part->done(); !status.ok()) {
            fields.fail(status.error().what);
        }
    }
    fields.object_text("cursor");
    fields.object_text("log");
    m.identity = read_identity(member(json, "identity"), "identity", fields);
    fields.object_text("identity");
    for (const Json& fork : fields.array("ancestors")) {
        m.ancestors.push_back(read_identity(fork, "an ancestor", fields));
    }
    for (const Json& probe : fields.array("probes")) {
        FieldReader one(probe, "a probe");
        m.probes.push_back(StreamProbe{one.text("stream"), one.hex64("value")});
        if (const Status status = one.done(); !status.ok()) {
            fields.fail(status.error().what);
        }
    }
    for (const Json& pool : fields.array("owed")) {
        const auto parsed = pool.is_string() ? parse_pool(pool.get<std::string>()) : std::nullopt;
        if (parsed) {
            m.owed.push_back(*parsed);
        } else {
            fields.fail("owes a pool that this format does not know");
        }
    }
    for (const Json& file : fields.array("files")) {
        m.files.push_back(read_file_record(file, fields));
    }
}

}  // namespace

std::uint64_t chunks_checksum(const std::vector<ChunkRecord>& chunks) {
    base::StreamingChecksum checksum;
    for (const ChunkRecord& chunk : chunks) {
        std::array<std::byte, 8> word{};
        for (std::size_t i = 0; i < word.size(); ++i) {
            word[i] = static_cast<std::byte>(chunk.checksum >> (8 * i) & 0xFFU);
        }
        checksum.update(word);
    }
    return checksum.digest64();
}

std::uint64_t Manifest::files_bytes() const {
    std::uint64_t sum = 0;
    for (const FileRecord& file : files) {
        sum += file.bytes;
    }
    return sum;
}

bool is_plain_file_name(std::string_view name) {
    const auto plain = [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
               c == '.' || c == '_' || c == '-';
    };
    return !name.empty() && name.size() <= 255 && name.front() != '.' &&
           std::all_of(name.begin(), name.end(), plain);
}

bool is_data_file_name(std::string_view name) {
    return is_plain_file_name(name) && name != kManifestName;
}

Result<std::string> print_manifest(const Manifest& manifest) {
    Manifest m = manifest;
    for (auto [text, what] : {std::pair{&m.metrics_line, "the metrics line"},
                              std::pair{&m.config, "the config"},
                              std::pair{&m.environment, "the environment"}}) {
        Result<std::string> compact = compact_object(*text, what);
        if (!compact.ok()) {
            return compact.error();
        }
        *text = std::move(compact).value();
    }
    for (std::string* text : {&m.phase, &m.cursor.shard, &m.data_fingerprint}) {
        make_utf8(*text);
    }
    if (m.best) {
        make_utf8(m.best->validation);
    }
    for (StreamProbe& probe : m.probes) {
        make_utf8(probe.stream);
    }
    if (const std::string problem = find_contradiction(m); !problem.empty()) {
        return Error{ErrorKind::kInvalid, "the manifest cannot be written: " + problem, 0};
    }
    std::string text = with_checksum_line(print_body(m));
    const Result<Manifest> again = parse_manifest(text);
    HF_CHECK(again.ok() && again.value() == m,
             "a printed manifest does not parse to itself: {}",
             again.ok() ? "a field changed" : again.error().what);
    return text;
}

Result<Manifest> parse_manifest(std::string_view text) {
    if (const Status sound = check_checksum_line(text); !sound.ok()) {
        return sound.error();
    }
    const Result<Json> parsed = parse_strict_json<Json>(text);
    if (!parsed.ok()) {
        return parsed.error();
    }
    const Json& json = parsed.value();
    FieldReader fields(json, "the manifest");
    const std::int64_t version = fields.integer("format", 1);
    if (fields.ok() && version > kFormatVersion) {
        return Error{ErrorKind::kInvalid,
                     fmt::format("has format version {}; this program knows up to {}: use a newer "
                                 "holdfast",
                                 version,
                                 kFormatVersion),
                     0};
    }
    Manifest m;
    m.run_id = fields.text("run_id");
    m.created_utc_seconds = fields.integer("created");
    m.phase = fields.text("phase");
    m.metrics_line = fields.object_text("metrics");
    m.best = read_best(fields);
    m.evaluation = read_word(fields, "evaluation", "none", "due") == 1 ? EvaluationState::kDue
                                                                       : EvaluationState::kNone;
    m.tokens = fields.integer("tokens");
    m.seed = fields.unsigned_integer("seed");
    m.lanes = fields.integer("lanes", 1);
    m.config = fields.object_text("config");
    m.data_fingerprint = fields.text("data_fingerprint");
    m.environment = fields.object_text("environment");
    m.readback = read_word(fields, "readback", "cache", "device") == 1 ? Readback::kDevice
                                                                       : Readback::kCache;
    read_records(json, fields, m);
    fields.text("checksum");
    if (const std::string problem = find_contradiction(m); fields.ok() && !problem.empty()) {
        fields.fail("contradicts itself: " + problem);
    }
    if (const Status status = fields.done(); !status.ok()) {
        return status.error();
    }
    return m;
}

}  // namespace holdfast::checkpoint
