// The JSON of a file's record, as the manifest and the answer of a rank part have it: `{name,
// bytes, checksum, chunks: [[bytes, checksum], ...]}`. Pure; any thread.
#pragma once

#include <cstdint>
#include <vector>

#include <nlohmann/json.hpp>

#include "checkpoint/manifest.h"
#include "checkpoint/strict_json.h"

namespace holdfast::checkpoint {

nlohmann::ordered_json chunks_json(const std::vector<ChunkRecord>& chunks);
nlohmann::ordered_json file_record_json(const FileRecord& file);

// The member "chunks". A chunk that no file can have is a failure of `fields`.
std::vector<ChunkRecord> read_chunks(FieldReader& fields);
// Strict; what is wrong is a failure of `outer`. The record's name is plain, its chunks add up.
FileRecord read_file_record(const nlohmann::ordered_json& json, FieldReader& outer);

// Sum over the chunks.
std::uint64_t chunks_bytes(const std::vector<ChunkRecord>& chunks);

}  // namespace holdfast::checkpoint
