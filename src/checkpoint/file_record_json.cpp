#include "checkpoint/file_record_json.h"

#include <string>
#include <utility>

#include "base/checksum.h"

namespace holdfast::checkpoint {

using base::Status;
using Json = nlohmann::ordered_json;

Json chunks_json(const std::vector<ChunkRecord>& chunks) {
    Json json = Json::array();
    for (const ChunkRecord& chunk : chunks) {
        json.push_back(Json::array({chunk.bytes, base::to_hex(chunk.checksum)}));
    }
    return json;
}

Json file_record_json(const FileRecord& file) {
    return Json{{"name", file.name},
                {"bytes", file.bytes},
                {"checksum", base::to_hex(file.checksum)},
                {"chunks", chunks_json(file.chunks)}};
}

std::uint64_t chunks_bytes(const std::vector<ChunkRecord>& chunks) {
    std::uint64_t sum = 0;
    for (const ChunkRecord& chunk : chunks) {
        sum += chunk.bytes;
    }
    return sum;
}

std::vector<ChunkRecord> read_chunks(FieldReader& fields) {
    std::vector<ChunkRecord> chunks;
    for (const Json& pair : fields.array("chunks")) {
        if (!pair.is_array() || pair.size() != 2 || !pair[0].is_number_unsigned() ||
            !pair[1].is_string()) {
            fields.fail("has a chunk that is not [bytes, checksum]");
            break;
        }
        const auto bytes = pair[0].get<std::uint64_t>();
        const auto checksum = base::parse_hex64(pair[1].get<std::string>());
        if (bytes == 0 || bytes > kChunkBytes || !checksum) {
            fields.fail("has a chunk with an impossible size or checksum");
            break;
        }
        chunks.push_back(ChunkRecord{bytes, *checksum});
    }
    return chunks;
}

FileRecord read_file_record(const Json& json, FieldReader& outer) {
    FieldReader fields(json, "a file");
    FileRecord file;
    file.name = fields.text("name");
    file.bytes = fields.unsigned_integer("bytes");
    file.checksum = fields.hex64("checksum");
    file.chunks = read_chunks(fields);
    if (fields.ok() && !is_plain_file_name(file.name)) {
        fields.fail("has a name that is not a plain file name");
    }
    if (fields.ok() && (chunks_bytes(file.chunks) != file.bytes ||
                        file.checksum != chunks_checksum(file.chunks))) {
        fields.fail("has chunks that do not add up to it");
    }
    if (const Status status = fields.done(); !status.ok()) {
        outer.fail(status.error().what);
    }
    return file;
}

}  // namespace holdfast::checkpoint
