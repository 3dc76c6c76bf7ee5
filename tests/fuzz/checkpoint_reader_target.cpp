// A whole checkpoint whose manifest is true and whose tensor files are anything: read, verified and
// loaded. The input is the bytes of one or two files, after a byte that says how long the chunks of
// the manifest are (0: as long as they may be) and two, little-endian, that say how long the second
// file is (0: there is none).
#include <algorithm>

#include "base/checksum.h"
#include "checkpoint/reader.h"
#include "fuzz/fuzz_target.h"
#include "fuzz/memory_files.h"
#include "fuzz/unpadded_header.h"

namespace holdfast::fuzz {

using checkpoint::LogicalTensor;
using checkpoint::Manifest;
using checkpoint::Reader;

namespace {

constexpr std::size_t kPrefixBytes = 3;
constexpr const char* kFolder = "run/rolling/step_00000005";

checkpoint::FileRecord record_of(const std::string& name,
                                 std::string_view bytes,
                                 std::size_t chunk_bytes) {
    checkpoint::FileRecord record{name, bytes.size(), {}, 0};
    for (std::size_t at = 0; at < bytes.size(); at += chunk_bytes) {
        const std::string_view chunk = bytes.substr(at, chunk_bytes);
        record.chunks.push_back({chunk.size(), base::checksum64(chunk)});
    }
    record.checksum = checkpoint::chunks_checksum(record.chunks);
    return record;
}

MemoryFiles checkpoint_of(std::string_view input) {
    const auto byte_at = [&](std::size_t at) {
        return at < input.size() ? static_cast<unsigned char>(input[at]) : std::size_t{0};
    };
    const std::size_t chunk_bytes = byte_at(0) == 0 ? checkpoint::kChunkBytes : byte_at(0);
    const std::string_view rest = input.substr(std::min(kPrefixBytes, input.size()));
    const std::size_t second_bytes = std::min(rest.size(), byte_at(1) | byte_at(2) << 8U);
    const std::size_t first_bytes = rest.size() - second_bytes;
    Manifest manifest;
    manifest.run_id = "0123456789abcdef";
    manifest.identity = {1, 5, "00000000000000aa"};
    std::map<std::string, std::string> files;
    const auto add = [&](const std::string& name, std::string_view bytes) {
        manifest.files.push_back(record_of(name, bytes, chunk_bytes));
        files[fs::join(kFolder, name)] = bytes;
    };
    add("model.safetensors", rest.substr(0, first_bytes));
    if (second_bytes > 0) {
        add("optimizer-00001-of-00001.safetensors", rest.substr(first_bytes));
    }
    files[fs::join(kFolder, "checkpoint.json")] = checkpoint::print_manifest(manifest).value();
    return MemoryFiles(std::move(files));
}

std::string bytes_in_files(const MemoryFiles& files,
                           const Manifest& manifest,
                           const LogicalTensor& tensor) {
    const std::uint64_t width = checkpoint::dtype_bytes(tensor.info.dtype).value();
    std::string bytes;
    for (const checkpoint::TensorPiece& piece : tensor.pieces) {
        const std::string& file =
            files.files().at(fs::join(kFolder, manifest.files.at(piece.file_index).name));
        const std::uint64_t count = (piece.element_end - piece.element_begin) * width;
        require(piece.file_begin <= file.size() && count <= file.size() - piece.file_begin,
                "a piece is inside its file");
        bytes.append(file, piece.file_begin, count);
    }
    return bytes;
}

void check_loading(const MemoryFiles& files, Reader& reader) {
    std::vector<std::string> loaded;
    std::vector<checkpoint::TensorTarget> targets;
    loaded.reserve(reader.tensors().size());
    for (const LogicalTensor& tensor : reader.tensors()) {
        // Compared first: a tensor that is larger than its files must not be made room for.
        const std::size_t bytes = bytes_in_files(files, reader.manifest(), tensor).size();
        require(bytes == checkpoint::tensor_bytes(tensor.info),
                "a tensor is as long as its pieces");
        loaded.emplace_back(bytes, '\0');
        targets.push_back(
            {.info = tensor.info, .bytes = std::as_writable_bytes(std::span(loaded.back()))});
    }
    require(reader.load(targets, checkpoint::Unrequested::kRefuse, {.thread_count = 1}).ok(),
            "what was opened loads");
    for (std::size_t i = 0; i < loaded.size(); ++i) {
        require(loaded[i] == bytes_in_files(files, reader.manifest(), reader.tensors()[i]),
                "a tensor is the bytes of its pieces");
    }
}

}  // namespace

bool check_checkpoint_reader(std::string_view input) {
    MemoryFiles files = checkpoint_of(input);
    auto reader = Reader::open(files, kFolder);
    if (!reader.ok()) {
        require_one_line(reader.error());
        return false;
    }
    require(reader.value().verify(1).ok(), "what its manifest tells verifies");
    check_loading(files, reader.value());
    return true;
}

std::vector<std::string> checkpoint_reader_seeds() {
    using checkpoint::TensorInfo;
    const std::vector<TensorInfo> whole{{"b", "BF16", {4}}, {"s", "I64", {}}, {"z", "U8", {0}}};
    const std::vector<TensorInfo> first{{"m.wte@0:2", "F32", {2}}};
    const std::vector<TensorInfo> second{{"m.wte@2:6", "F32", {4}}};
    const checkpoint::SafetensorsMetadata shape{{"shape:m.wte", "3,2"}};
    const std::string one = unpadded_header(whole, {}) + std::string(16, 'x');
    const std::string two = unpadded_header(second, shape) + std::string(16, 'x');
    const auto input = [](int chunk_bytes, const std::string& file, const std::string& next) {
        const std::string prefix{static_cast<char>(chunk_bytes),
                                 static_cast<char>(next.size() & 0xFFU),
                                 static_cast<char>(next.size() >> 8U)};
        return prefix + file + next;
    };
    return {input(0, one, ""),
            input(64, one, ""),
            input(5, one, ""),
            input(32, unpadded_header(first, shape) + std::string(8, 'x'), two)};
}

}  // namespace holdfast::fuzz
