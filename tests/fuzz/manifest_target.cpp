// checkpoint.json: what parses prints again to the same manifest, and what was taken is in range.
#include <cmath>

#include "base/clock.h"
#include "checkpoint/manifest.h"
#include "fuzz/checksummed_text.h"
#include "fuzz/fuzz_target.h"

namespace holdfast::fuzz {

using checkpoint::FileRecord;
using checkpoint::Manifest;

namespace {

void check_values(const Manifest& manifest) {
    require(checkpoint::is_save_id(manifest.run_id) &&
                checkpoint::is_save_id(manifest.identity.save_id),
            "ids are 16 hex digits");
    require(manifest.identity.lineage >= 1 && manifest.identity.step >= 0 && manifest.lanes >= 1 &&
                manifest.tokens >= 0 && manifest.created_utc_seconds >= 0,
            "numbers are at least their least value");
    require(
        manifest.cursor.epoch >= 0 && manifest.cursor.sample >= 0 && manifest.cursor.offset >= 0,
        "the cursor is not before the data");
    require(!manifest.best || std::isfinite(manifest.best->val_loss), "the best loss is a number");
    std::uint64_t bytes = 0;
    for (const FileRecord& file : manifest.files) {
        require(checkpoint::is_plain_file_name(file.name) &&
                    file.name.find('/') == std::string::npos && file.name.front() != '.',
                "a file has a plain name");
        std::uint64_t chunk_bytes = 0;
        for (const checkpoint::ChunkRecord& chunk : file.chunks) {
            require(chunk.bytes >= 1 && chunk.bytes <= checkpoint::kChunkBytes,
                    "a chunk has a possible size");
            chunk_bytes += chunk.bytes;
        }
        require(chunk_bytes == file.bytes, "chunks tile their file");
        bytes += file.bytes;
    }
    require(bytes == manifest.files_bytes(), "the files add up");
    // What the list of checkpoints shows, whatever the number.
    require(!base::utc_iso8601(manifest.created_utc_seconds).empty(), "a time prints");
}

bool check_text(std::string_view text) {
    const auto manifest = checkpoint::parse_manifest(text);
    if (!manifest.ok()) {
        require_one_line(manifest.error());
        return false;
    }
    check_values(manifest.value());
    const auto printed = checkpoint::print_manifest(manifest.value());
    require(printed.ok(), "what parses can be printed");
    const auto again = checkpoint::parse_manifest(printed.value());
    require(again.ok() && again.value() == manifest.value(), "what is printed parses to the same");
    return true;
}

}  // namespace

bool check_manifest(std::string_view input) {
    const bool taken = check_text(input);
    return check_text(with_right_checksum(input)) || taken;
}

std::vector<std::string> manifest_seeds() {
    Manifest first;
    first.run_id = "0123456789abcdef";
    first.identity = {1, 0, "00000000000000aa"};
    first.data_fingerprint = "f";
    Manifest later = first;
    later.identity = {2, 500, "00000000000000ff"};
    later.ancestors = {{1, 250, "00000000000000aa"}};
    later.created_utc_seconds = 1764000000;
    later.metrics_line = R"({"step":500,"loss":3.25,"lr":6e-4})";
    later.best = checkpoint::BestSoFar{250, 0.1, "val"};
    later.evaluation = checkpoint::EvaluationState::kDue;
    later.cursor = {1, 32, "train_000001.bin", 4096};
    later.seed = UINT64_MAX;
    later.probes = {{"dropout", 7}};
    later.config = R"({"model":{"n_layer":12,"dropout":0.0},"data":{"train":["a","b"]}})";
    later.environment = R"({"build":"x","threads":2,"deterministic":true,"gpu":null})";
    later.owed = {checkpoint::Pool::kKeep, checkpoint::Pool::kEpoch};
    later.log = {12345, 0xFEEDFACECAFEBEEFULL};
    later.readback = checkpoint::Readback::kDevice;
    for (const char* name : {"model.safetensors", "optimizer-00001-of-00001.safetensors"}) {
        FileRecord file{
            name, checkpoint::kChunkBytes + 5, {{checkpoint::kChunkBytes, 1}, {5, 2}}, 0};
        file.checksum = checkpoint::chunks_checksum(file.chunks);
        later.files.push_back(file);
    }
    return {checkpoint::print_manifest(first).value(), checkpoint::print_manifest(later).value()};
}

}  // namespace holdfast::fuzz
