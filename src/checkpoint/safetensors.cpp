#include "checkpoint/safetensors.h"

#include <algorithm>
#include <array>
#include <unordered_set>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/words.h"
#include "checkpoint/strict_json.h"
#include "fs/durable_write.h"

namespace holdfast::checkpoint {

using base::Error;
using base::ErrorKind;
using base::Result;
using base::Status;

namespace {

constexpr std::uint64_t kLengthBytes = 8;
constexpr std::uint64_t kDataAlignment = 4096;
constexpr const char* kMetadataKey = "__metadata__";

constexpr std::array<std::pair<std::string_view, std::uint64_t>, 15> kDtypes{{
    {"BOOL", 1},
    {"U8", 1},
    {"I8", 1},
    {"F8_E4M3", 1},
    {"F8_E5M2", 1},
    {"U16", 2},
    {"I16", 2},
    {"F16", 2},
    {"BF16", 2},
    {"U32", 4},
    {"I32", 4},
    {"F32", 4},
    {"U64", 8},
    {"I64", 8},
    {"F64", 8},
}};

Error corrupt(std::string what) {
    return Error{ErrorKind::kCorrupt, std::move(what), 0};
}

std::optional<std::uint64_t> multiply(std::uint64_t a, std::uint64_t b) {
    std::uint64_t product = 0;
    return __builtin_mul_overflow(a, b, &product) ? std::nullopt : std::optional(product);
}

Result<SafetensorsHeader::Slot> read_slot(const std::string& name,
                                          const nlohmann::json& json,
                                          std::uint64_t data_begin,
                                          std::uint64_t data_bytes) {
    const bool shaped = json.is_object() && json.size() == 3 && json.contains("dtype") &&
                        json["dtype"].is_string() && json.contains("shape") &&
                        json["shape"].is_array() && json.contains("data_offsets") &&
                        json["data_offsets"].is_array() && json["data_offsets"].size() == 2;
    if (!shaped) {
        return corrupt(
            fmt::format("tensor {} is not dtype, shape and data_offsets", base::printable(name)));
    }
    SafetensorsHeader::Slot slot;
    slot.tensor.name = name;
    slot.tensor.dtype = json["dtype"].get<std::string>();
    for (const auto& size : json["shape"]) {
        if (!size.is_number_unsigned() || size.get<std::uint64_t>() > INT64_MAX) {
            return corrupt(fmt::format("tensor {} has a shape that is not whole numbers",
                                       base::printable(name)));
        }
        slot.tensor.shape.push_back(size.get<std::int64_t>());
    }
    const auto& begin = json["data_offsets"][0];
    const auto& end = json["data_offsets"][1];
    if (!begin.is_number_unsigned() || !end.is_number_unsigned() ||
        end.get<std::uint64_t>() > data_bytes ||
        begin.get<std::uint64_t>() > end.get<std::uint64_t>()) {
        return corrupt(fmt::format(
            "tensor {} lies outside the {} data bytes", base::printable(name), data_bytes));
    }
    slot.begin = data_begin + begin.get<std::uint64_t>();
    slot.end = data_begin + end.get<std::uint64_t>();
    const auto bytes = tensor_bytes(slot.tensor);
    if (!bytes || *bytes != slot.end - slot.begin) {
        return corrupt(fmt::format("tensor {} has {} bytes, which is not its {} shape",
                                   base::printable(name),
                                   slot.end - slot.begin,
                                   base::printable(slot.tensor.dtype)));
    }
    return slot;
}

Result<SafetensorsMetadata> read_metadata(const nlohmann::json& json) {
    SafetensorsMetadata metadata;
    if (!json.is_object()) {
        return corrupt("__metadata__ is not an object");
    }
    for (const auto& [key, value] : json.items()) {
        if (!value.is_string()) {
            return corrupt(fmt::format("__metadata__ {} is not a text", base::printable(key)));
        }
        metadata[key] = value.get<std::string>();
    }
    return metadata;
}

// Sorted slots must follow each other without holes and fill the file.
Status check_tiling(const SafetensorsHeader& header) {
    std::uint64_t next = header.data_begin;
    for (const SafetensorsHeader::Slot& slot : header.slots) {
        if (slot.begin != next) {
            return corrupt(fmt::format("tensor {} begins at byte {}, the one before ends at {}",
                                       base::printable(slot.tensor.name),
                                       slot.begin,
                                       next));
        }
        next = slot.end;
    }
    if (next != header.file_bytes) {
        return corrupt(
            fmt::format("the tensors end at byte {}, the file at {}", next, header.file_bytes));
    }
    return Status{};
}

}  // namespace

std::optional<std::uint64_t> dtype_bytes(std::string_view dtype) {
    for (const auto& [word, bytes] : kDtypes) {
        if (word == dtype) {
            return bytes;
        }
    }
    return std::nullopt;
}

std::optional<std::uint64_t> tensor_elements(const std::vector<std::int64_t>& shape) {
    std::optional<std::uint64_t> elements = 1;
    for (const std::int64_t size : shape) {
        if (size < 0) {
            return std::nullopt;
        }
        elements = multiply(*elements, static_cast<std::uint64_t>(size));
        if (!elements) {
            return std::nullopt;
        }
    }
    return elements;
}

std::optional<std::uint64_t> tensor_bytes(const TensorInfo& tensor) {
    const auto size = dtype_bytes(tensor.dtype);
    const auto elements = tensor_elements(tensor.shape);
    return size && elements ? multiply(*size, *elements) : std::nullopt;
}

const SafetensorsHeader::Slot* SafetensorsHeader::find(std::string_view name) const {
    const auto found = std::find_if(
        slots.begin(), slots.end(), [&](const Slot& slot) { return slot.tensor.name == name; });
    return found == slots.end() ? nullptr : &*found;
}

Result<std::string> build_safetensors_header(std::span<const TensorInfo> tensors,
                                             const SafetensorsMetadata& metadata) {
    nlohmann::ordered_json json = nlohmann::ordered_json::object();
    // Built as text piece by piece: an ordered_json object looks every new key up in a line.
    std::string text = "{";
    if (!metadata.empty()) {
        text += fmt::format("\"{}\":{}", kMetadataKey, nlohmann::json(metadata).dump());
    }
    std::unordered_set<std::string_view> names{kMetadataKey};
    std::uint64_t offset = 0;
    for (const TensorInfo& tensor : tensors) {
        const auto bytes = tensor_bytes(tensor);
        std::uint64_t end = 0;
        if (!bytes || __builtin_add_overflow(offset, *bytes, &end)) {
            return Error{ErrorKind::kInvalid,
                         fmt::format("tensor {} has an unknown dtype {} or an impossible size",
                                     tensor.name,
                                     tensor.dtype),
                         0};
        }
        if (!names.insert(tensor.name).second) {
            return Error{
                ErrorKind::kInvalid, fmt::format("two tensors are called {}", tensor.name), 0};
        }
        json = {{"dtype", tensor.dtype}, {"shape", tensor.shape}, {"data_offsets", {offset, end}}};
        text += fmt::format(
            "{}{}:{}", text.size() > 1 ? "," : "", nlohmann::json(tensor.name).dump(), json.dump());
        offset = end;
    }
    text += '}';
    const std::uint64_t unpadded = kLengthBytes + text.size();
    text.append((kDataAlignment - unpadded % kDataAlignment) % kDataAlignment, ' ');
    if (text.size() > kSafetensorsHeaderBytesMax) {
        return Error{ErrorKind::kInvalid,
                     fmt::format("a header of {} bytes is more than safetensors allows ({})",
                                 text.size(),
                                 kSafetensorsHeaderBytesMax),
                     0};
    }
    std::string header(kLengthBytes, '\0');
    for (std::size_t i = 0; i < kLengthBytes; ++i) {
        header[i] = static_cast<char>(text.size() >> (8 * i) & 0xFFU);
    }
    return header + text;
}

Result<SafetensorsHeader> lay_out_safetensors(std::span<const TensorInfo> tensors,
                                              const SafetensorsMetadata& metadata) {
    const Result<std::string> text = build_safetensors_header(tensors, metadata);
    if (!text.ok()) {
        return text.error();
    }
    SafetensorsHeader header;
    header.metadata = metadata;
    header.data_begin = text.value().size();
    header.file_bytes = header.data_begin;
    for (const TensorInfo& tensor : tensors) {
        const std::uint64_t begin = header.file_bytes;
        // The tensors fit together, or the header could not be built; the header before them need
        // not.
        if (__builtin_add_overflow(begin, tensor_bytes(tensor).value_or(0), &header.file_bytes)) {
            return Error{ErrorKind::kInvalid, "a file of these tensors has an impossible size", 0};
        }
        header.slots.push_back({tensor, begin, header.file_bytes});
    }
    return header;
}

Result<ByteRange> element_bytes(const SafetensorsHeader& layout,
                                std::string_view name,
                                std::uint64_t element_begin,
                                std::uint64_t element_end) {
    const SafetensorsHeader::Slot* slot = layout.find(name);
    if (slot == nullptr) {
        return Error{ErrorKind::kInvalid, fmt::format("the file has no tensor {}", name), 0};
    }
    const std::uint64_t elements = tensor_elements(slot->tensor.shape).value_or(0);
    if (element_begin > element_end || element_end > elements) {
        return Error{ErrorKind::kInvalid,
                     fmt::format("tensor {} has {} elements, {} to {} were asked for",
                                 name,
                                 elements,
                                 element_begin,
                                 element_end),
                     0};
    }
    const std::uint64_t size = dtype_bytes(slot->tensor.dtype).value_or(0);
    return ByteRange{slot->begin + element_begin * size, slot->begin + element_end * size};
}

Result<std::uint64_t> parse_safetensors_length(std::span<const std::byte> first_8_bytes,
                                               std::uint64_t file_bytes) {
    if (first_8_bytes.size() < kLengthBytes || file_bytes < kLengthBytes) {
        return corrupt(fmt::format("has {} bytes, too few for a safetensors file", file_bytes));
    }
    std::uint64_t length = 0;
    for (std::size_t i = 0; i < kLengthBytes; ++i) {
        length |= std::to_integer<std::uint64_t>(first_8_bytes[i]) << (8 * i);
    }
    if (length > kSafetensorsHeaderBytesMax || length > file_bytes - kLengthBytes || length < 2) {
        return corrupt(
            fmt::format("tells a header of {} bytes in a file of {}: not a safetensors file",
                        length,
                        file_bytes));
    }
    return length;
}

Result<SafetensorsHeader> parse_safetensors_header(std::string_view json,
                                                   std::uint64_t file_bytes) {
    if (json.empty() || json.front() != '{' || json.size() + kLengthBytes > file_bytes) {
        return corrupt("the safetensors header does not begin with {");
    }
    const Result<nlohmann::json> parsed = parse_strict_json<nlohmann::json>(json);
    if (!parsed.ok() || !parsed.value().is_object()) {
        return corrupt(fmt::format("the safetensors header {}",
                                   parsed.ok() ? "is not an object" : parsed.error().what));
    }
    SafetensorsHeader header;
    header.file_bytes = file_bytes;
    header.data_begin = kLengthBytes + json.size();
    const std::uint64_t data_bytes = file_bytes - header.data_begin;
    for (const auto& [name, value] : parsed.value().items()) {
        if (name == kMetadataKey) {
            Result<SafetensorsMetadata> metadata = read_metadata(value);
            if (!metadata.ok()) {
                return metadata.error();
            }
            header.metadata = std::move(metadata).value();
            continue;
        }
        Result<SafetensorsHeader::Slot> slot =
            read_slot(name, value, header.data_begin, data_bytes);
        if (!slot.ok()) {
            return slot.error();
        }
        header.slots.push_back(std::move(slot).value());
    }
    std::sort(header.slots.begin(), header.slots.end(), [](const auto& a, const auto& b) {
        return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
    });
    const Status tiled = check_tiling(header);
    if (!tiled.ok()) {
        return tiled.error();
    }
    return header;
}

Result<SafetensorsHeader> read_safetensors_header(fs::File& file, std::string_view path) {
    const Result<fs::FileStatus> status = file.status();
    if (!status.ok()) {
        return status.error();
    }
    std::array<std::byte, kLengthBytes> first{};
    if (status.value().bytes >= first.size()) {
        const Status read = fs::read_exactly(file, first, 0, path);
        if (!read.ok()) {
            return read.error();
        }
    }
    const Result<std::uint64_t> length = parse_safetensors_length(first, status.value().bytes);
    if (!length.ok()) {
        return length.error().within(path);
    }
    std::string json(length.value(), '\0');
    const Status read =
        fs::read_exactly(file, std::as_writable_bytes(std::span(json)), kLengthBytes, path);
    if (!read.ok()) {
        return read.error();
    }
    Result<SafetensorsHeader> header = parse_safetensors_header(json, status.value().bytes);
    if (!header.ok()) {
        return header.error().within(path);
    }
    return header;
}

}  // namespace holdfast::checkpoint
