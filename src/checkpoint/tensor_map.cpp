#include "checkpoint/tensor_map.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/words.h"

namespace holdfast::checkpoint {

using base::Error;
using base::ErrorKind;
using base::Result;
using base::Status;

namespace {

Error corrupt(std::string what) {
    return Error{ErrorKind::kCorrupt, std::move(what), 0};
}

std::optional<std::uint64_t> parse_digits(std::string_view text) {
    std::uint64_t value = 0;
    const char* end = text.data() + text.size();
    const auto [stop, code] = std::from_chars(text.data(), end, value);
    return !text.empty() && code == std::errc{} && stop == end ? std::optional(value)
                                                               : std::nullopt;
}

std::optional<std::vector<std::int64_t>> parse_shape(std::string_view text) {
    std::vector<std::int64_t> shape;
    while (!text.empty()) {
        const std::size_t comma = std::min(text.find(','), text.size());
        const auto size = parse_digits(text.substr(0, comma));
        if (!size || *size > INT64_MAX) {
            return std::nullopt;
        }
        shape.push_back(static_cast<std::int64_t>(*size));
        text.remove_prefix(std::min(comma + 1, text.size()));
    }
    return shape;
}

// The whole tensor that a fragment is a part of, as the file's metadata tells it.
Result<TensorInfo> whole_of(const SafetensorsHeader& header,
                            const SafetensorsHeader::Slot& slot,
                            const FragmentName& fragment) {
    const auto found = header.metadata.find(shape_key(fragment.name));
    const auto shape = found == header.metadata.end() ? std::nullopt : parse_shape(found->second);
    if (!shape || shape_text(*shape) != found->second || !tensor_elements(*shape)) {
        return corrupt(fmt::format("fragment {} has no shape of the whole",
                                   base::printable(slot.tensor.name)));
    }
    const std::uint64_t elements = fragment.element_end - fragment.element_begin;
    if (slot.tensor.shape.size() != 1 ||
        static_cast<std::uint64_t>(slot.tensor.shape.front()) != elements) {
        return corrupt(fmt::format(
            "fragment {} is not {} elements", base::printable(slot.tensor.name), elements));
    }
    return TensorInfo{fragment.name, slot.tensor.dtype, *shape};
}

Status check_pieces(LogicalTensor& tensor) {
    std::sort(tensor.pieces.begin(), tensor.pieces.end(), [](const auto& a, const auto& b) {
        return std::pair(a.element_begin, a.element_end) <
               std::pair(b.element_begin, b.element_end);
    });
    std::uint64_t next = 0;
    for (const TensorPiece& piece : tensor.pieces) {
        if (piece.element_begin != next) {
            return corrupt(fmt::format("tensor {} is {} at element {}",
                                       base::printable(tensor.info.name),
                                       piece.element_begin > next ? "missing" : "there twice",
                                       std::min(next, piece.element_begin)));
        }
        next = piece.element_end;
    }
    if (next != tensor_elements(tensor.info.shape)) {
        return corrupt(
            fmt::format("tensor {} ends at element {}", base::printable(tensor.info.name), next));
    }
    return Status{};
}

}  // namespace

std::string fragment_name(std::string_view name,
                          std::uint64_t element_begin,
                          std::uint64_t element_end) {
    return fmt::format("{}@{}:{}", name, element_begin, element_end);
}

std::optional<FragmentName> parse_fragment_name(std::string_view name) {
    const std::size_t at = name.rfind('@');
    if (at == std::string_view::npos) {
        return std::nullopt;
    }
    const std::string_view range = name.substr(at + 1);
    const std::size_t colon = std::min(range.find(':'), range.size());
    const auto begin = parse_digits(range.substr(0, colon));
    const auto end = parse_digits(range.substr(std::min(colon + 1, range.size())));
    if (!begin || !end || *begin > *end) {
        return std::nullopt;
    }
    // "@07:8" is nobody's fragment: one range has one name.
    if (fragment_name(name.substr(0, at), *begin, *end) != name) {
        return std::nullopt;
    }
    return FragmentName{std::string(name.substr(0, at)), *begin, *end};
}

std::string shape_key(std::string_view name) {
    return fmt::format("shape:{}", name);
}

std::string shape_text(const std::vector<std::int64_t>& shape) {
    return fmt::format("{}", fmt::join(shape, ","));
}

Result<std::vector<LogicalTensor>> map_tensors(std::span<const SafetensorsHeader> headers) {
    std::map<std::string, LogicalTensor> by_name;
    for (std::size_t file = 0; file < headers.size(); ++file) {
        for (const SafetensorsHeader::Slot& slot : headers[file].slots) {
            const auto fragment = parse_fragment_name(slot.tensor.name);
            TensorInfo info = slot.tensor;
            TensorPiece piece{file, slot.begin, 0, tensor_elements(info.shape).value_or(0)};
            if (fragment) {
                Result<TensorInfo> whole = whole_of(headers[file], slot, *fragment);
                if (!whole.ok()) {
                    return whole.error();
                }
                info = std::move(whole).value();
                piece.element_begin = fragment->element_begin;
                piece.element_end = fragment->element_end;
            }
            const auto [entry, is_new] = by_name.try_emplace(info.name, LogicalTensor{info, {}});
            if (!is_new && (!fragment || entry->second.info != info)) {
                return corrupt(fmt::format("tensor {} is there twice", base::printable(info.name)));
            }
            entry->second.pieces.push_back(piece);
        }
    }
    std::vector<LogicalTensor> tensors;
    tensors.reserve(by_name.size());
    for (auto& [name, tensor] : by_name) {
        const Status tiled = check_pieces(tensor);
        if (!tiled.ok()) {
            return tiled.error();
        }
        tensors.push_back(std::move(tensor));
    }
    return tensors;
}

const LogicalTensor* find_tensor(std::span<const LogicalTensor> tensors, std::string_view name) {
    const auto found = std::lower_bound(
        tensors.begin(), tensors.end(), name, [](const LogicalTensor& tensor, auto wanted) {
            return tensor.info.name < wanted;
        });
    return found == tensors.end() || found->info.name != name ? nullptr : &*found;
}

}  // namespace holdfast::checkpoint
