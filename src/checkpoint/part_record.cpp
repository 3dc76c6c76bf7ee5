#include "checkpoint/part_record.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "checkpoint/file_record_json.h"
#include "checkpoint/strict_json.h"

namespace holdfast::checkpoint {

using base::Error;
using base::ErrorKind;
using base::Result;
using base::Status;
using Json = nlohmann::ordered_json;

namespace {

// Counts up with the form; ranks of one run are one program, so no other is read.
constexpr std::int64_t kPartFormatVersion = 1;

bool are_possible(const std::vector<ChunkRecord>& chunks) {
    return std::all_of(chunks.begin(), chunks.end(), [](const ChunkRecord& chunk) {
        return chunk.bytes >= 1 && chunk.bytes <= kChunkBytes;
    });
}

// What must hold beyond the type of each field. Empty when it holds.
std::string find_contradiction(const PartRecord& record) {
    if (!is_save_id(record.save_id)) {
        return "save_id is not 16 hex digits";
    }
    if (record.rank < 0 || record.rank > kRankMax) {
        return "the rank is out of range";
    }
    std::vector<std::string_view> names;
    for (const FileRecord& file : record.files) {
        if (!is_data_file_name(file.name) || !are_possible(file.chunks) ||
            file.bytes != chunks_bytes(file.chunks) ||
            file.checksum != chunks_checksum(file.chunks)) {
            return "a file's name, size or checksum is impossible";
        }
        names.push_back(file.name);
    }
    std::sort(names.begin(), names.end());
    if (std::adjacent_find(names.begin(), names.end()) != names.end()) {
        return "a file is listed twice";
    }
    for (const PieceRecord& piece : record.pieces) {
        if (!is_data_file_name(piece.file_name) || piece.chunks.empty() ||
            !are_possible(piece.chunks) || piece.offset > std::uint64_t{kPieceOffsetMax}) {
            return "a piece is of no file, empty, or out of range";
        }
        if (std::binary_search(names.begin(), names.end(), piece.file_name)) {
            return "a piece is of a file that one rank alone wrote";
        }
    }
    return {};
}

std::string print_body(const PartRecord& record) {
    std::string text = fmt::format(
        "{{\n\"format\":{},\n\"save_id\":\"{}\",\n\"rank\":{},\n\"readback\":\"{}\",\n\"files\":["
        "\n",
        kPartFormatVersion,
        record.save_id,
        record.rank,
        record.readback == Readback::kDevice ? "device" : "cache");
    for (std::size_t i = 0; i < record.files.size(); ++i) {
        text += file_record_json(record.files[i]).dump();
        text += i + 1 < record.files.size() ? ",\n" : "\n";
    }
    text += "],\n\"pieces\":[\n";
    for (std::size_t i = 0; i < record.pieces.size(); ++i) {
        const PieceRecord& piece = record.pieces[i];
        text += Json{{"file", piece.file_name},
                     {"offset", piece.offset},
                     {"chunks", chunks_json(piece.chunks)}}
                    .dump();
        text += i + 1 < record.pieces.size() ? ",\n" : "\n";
    }
    text += "],\n";
    return text;
}

PieceRecord read_piece(const Json& json, FieldReader& outer) {
    FieldReader fields(json, "a piece");
    PieceRecord piece;
    piece.file_name = fields.text("file");
    piece.offset = fields.unsigned_integer("offset");
    piece.chunks = read_chunks(fields);
    if (const Status status = fields.done(); !status.ok()) {
        outer.fail(status.error().what);
    }
    return piece;
}

}  // namespace

Status check_part_record(const PartRecord& record) {
    const std::string problem = find_contradiction(record);
    return problem.empty()
               ? Status{}
               : Status(Error{ErrorKind::kInvalid, "the record of a part is wrong: " + problem, 0});
}

Result<std::string> print_part_record(const PartRecord& record) {
    if (const Status sound = check_part_record(record); !sound.ok()) {
        return sound.error();
    }
    std::string text = with_checksum_line(print_body(record));
    const Result<PartRecord> again = parse_part_record(text);
    HF_CHECK(again.ok() && again.value() == record,
             "a printed part record does not parse to itself: {}",
             again.ok() ? "a field changed" : again.error().what);
    return text;
}

Result<PartRecord> parse_part_record(std::string_view text) {
    if (text.size() > kPartRecordBytesMax) {
        return Error{ErrorKind::kCorrupt,
                     fmt::format("the record of a part has {} bytes, more than {}",
                                 text.size(),
                                 kPartRecordBytesMax),
                     0};
    }
    if (const Status sound = check_checksum_line(text); !sound.ok()) {
        return sound.error().within("the record of a part");
    }
    const Result<Json> parsed = parse_strict_json<Json>(text);
    if (!parsed.ok()) {
        return parsed.error().within("the record of a part");
    }
    FieldReader fields(parsed.value(), "the record of a part");
    const std::int64_t version = fields.integer("format", 1);
    if (fields.ok() && version != kPartFormatVersion) {
        return Error{ErrorKind::kInvalid,
                     fmt::format("the record of a part has format {}, this program writes {}: "
                                 "all ranks must be the same program",
                                 version,
                                 kPartFormatVersion),
                     0};
    }
    PartRecord record;
    record.save_id = fields.text("save_id");
    record.rank = fields.integer("rank");
    const std::string readback = fields.text("readback");
    if (fields.ok() && readback != "device" && readback != "cache") {
        fields.fail("field \"readback\" is neither \"device\" nor \"cache\"");
    }
    record.readback = readback == "device" ? Readback::kDevice : Readback::kCache;
    for (const Json& file : fields.array("files")) {
        record.files.push_back(read_file_record(file, fields));
    }
    for (const Json& piece : fields.array("pieces")) {
        record.pieces.push_back(read_piece(piece, fields));
    }
    fields.text("checksum");
    if (const std::string problem = find_contradiction(record); fields.ok() && !problem.empty()) {
        fields.fail("contradicts itself: " + problem);
    }
    if (const Status status = fields.done(); !status.ok()) {
        return status.error();
    }
    return record;
}

}  // namespace holdfast::checkpoint
