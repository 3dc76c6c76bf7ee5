// The header of a safetensors file and the logical tensors of it. The input is a file; it is read
// as it is, and once more with a length field that fits its JSON and a file as long as the largest
// number in it says, so that tensors of any size are met without their data.
#include <algorithm>
#include <charconv>
#include <set>

#include "checkpoint/safetensors.h"
#include "checkpoint/tensor_map.h"
#include "fuzz/fuzz_target.h"
#include "fuzz/unpadded_header.h"

namespace holdfast::fuzz {

using checkpoint::SafetensorsHeader;
using checkpoint::TensorInfo;

namespace {

constexpr std::size_t kLengthBytes = 8;

void check_slots(const SafetensorsHeader& header, std::uint64_t file_bytes) {
    std::uint64_t next = header.data_begin;
    std::set<std::string> names;
    for (const SafetensorsHeader::Slot& slot : header.slots) {
        require(slot.begin == next && slot.begin <= slot.end, "tensors tile the data");
        require(checkpoint::tensor_bytes(slot.tensor) == slot.end - slot.begin,
                "a shape fits its bytes");
        require(names.insert(slot.tensor.name).second, "names are unique");
        next = slot.end;
    }
    require(next == file_bytes && header.file_bytes == file_bytes, "the data end with the file");
}

std::vector<TensorInfo> tensors_by_name(const SafetensorsHeader& header) {
    std::vector<TensorInfo> tensors;
    for (const SafetensorsHeader::Slot& slot : header.slots) {
        tensors.push_back(slot.tensor);
    }
    std::sort(tensors.begin(), tensors.end(), [](const TensorInfo& a, const TensorInfo& b) {
        return a.name < b.name;
    });
    return tensors;
}

void check_prints_the_same(const SafetensorsHeader& header) {
    std::vector<TensorInfo> tensors;
    for (const SafetensorsHeader::Slot& slot : header.slots) {
        tensors.push_back(slot.tensor);
    }
    const auto printed = checkpoint::build_safetensors_header(tensors, header.metadata);
    require(printed.ok(), "what parses can be printed");
    std::uint64_t file_bytes = 0;
    const std::uint64_t data_bytes = header.file_bytes - header.data_begin;
    if (__builtin_add_overflow(printed.value().size(), data_bytes, &file_bytes)) {
        return;
    }
    const auto again = checkpoint::parse_safetensors_header(
        std::string_view(printed.value()).substr(kLengthBytes), file_bytes);
    require(again.ok(), "what is printed parses");
    require(tensors_by_name(again.value()) == tensors_by_name(header) &&
                again.value().metadata == header.metadata,
            "what is printed parses to the same");
}

void check_map(const SafetensorsHeader& header) {
    const auto tensors = checkpoint::map_tensors(std::span(&header, 1));
    if (!tensors.ok()) {
        require_one_line(tensors.error());
        return;
    }
    std::uint64_t bytes = 0;
    for (const checkpoint::LogicalTensor& tensor : tensors.value()) {
        std::uint64_t next = 0;
        for (const checkpoint::TensorPiece& piece : tensor.pieces) {
            require(piece.file_index == 0 && piece.element_begin == next &&
                        piece.element_begin <= piece.element_end &&
                        piece.file_begin >= header.data_begin,
                    "pieces tile their tensor");
            next = piece.element_end;
        }
        require(next == checkpoint::tensor_elements(tensor.info.shape),
                "pieces end with their tensor");
        require(checkpoint::find_tensor(tensors.value(), tensor.info.name) == &tensor,
                "a tensor is found by its name");
        bytes += checkpoint::tensor_bytes(tensor.info).value();
    }
    require(bytes == header.file_bytes - header.data_begin, "the tensors are all of the data");
}

bool check_file(std::string_view json, std::uint64_t file_bytes) {
    const auto header = checkpoint::parse_safetensors_header(json, file_bytes);
    if (!header.ok()) {
        require_one_line(header.error());
        return false;
    }
    require(header.value().data_begin == kLengthBytes + json.size(), "data follow the header");
    check_slots(header.value(), file_bytes);
    check_prints_the_same(header.value());
    check_map(header.value());
    return true;
}

std::uint64_t largest_number(std::string_view text) {
    std::uint64_t largest = 0;
    const char* end = text.data() + text.size();
    for (const char* at = text.data(); at < end;) {
        std::uint64_t number = 0;
        const auto [stop, code] = std::from_chars(at, end, number);
        largest = code == std::errc{} ? std::max(largest, number) : largest;
        at = std::max(stop, at + 1);
    }
    return largest;
}

}  // namespace

bool check_safetensors(std::string_view input) {
    const auto length = checkpoint::parse_safetensors_length(
        std::as_bytes(std::span(input.substr(0, kLengthBytes))), input.size());
    if (!length.ok()) {
        require_one_line(length.error());
    }
    bool taken = false;
    if (length.ok()) {
        require(length.value() <= input.size() - kLengthBytes, "a header is inside its file");
        taken = check_file(input.substr(kLengthBytes, length.value()), input.size());
    }
    const std::string_view rest = input.substr(std::min(kLengthBytes, input.size()));
    const std::string_view json = rest.substr(0, rest.rfind('}') + 1);
    std::uint64_t file_bytes = 0;
    if (!__builtin_add_overflow(kLengthBytes + json.size(), largest_number(json), &file_bytes)) {
        taken = check_file(json, file_bytes) || taken;
    }
    return taken;
}

std::vector<std::string> safetensors_seeds() {
    const std::vector<TensorInfo> tensors{
        {"wte", "F32", {3, 2}}, {"b", "BF16", {4}}, {"s", "I64", {}}};
    const std::vector<TensorInfo> fragments{{"m.wte@0:2", "F32", {2}}, {"m.wte@2:6", "F32", {4}}};
    return {
        unpadded_header(tensors, {}) + std::string(24 + 8 + 8, 'x'),
        unpadded_header(fragments, {{"shape:m.wte", "3,2"}, {"step", "5"}}) + std::string(24, 'x')};
}

}  // namespace holdfast::fuzz
