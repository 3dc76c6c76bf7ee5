#include "data/held_out_split.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

#include "base/checksum.h"

namespace holdfast::data {

namespace {

constexpr std::uint64_t kSearchBytesMax = std::uint64_t{64} << 10U;

std::uint64_t group_of(std::uint64_t document, double val_fraction) {
    return static_cast<std::uint64_t>(static_cast<double>(document) * val_fraction);
}

}  // namespace

std::uint64_t documents_for_draw(double val_fraction) {
    return std::max<std::uint64_t>(20,
                                   static_cast<std::uint64_t>(std::ceil(1.0 / val_fraction)) + 1);
}

bool DocumentDraw::is_held_out(std::string_view beginning) {
    const std::uint64_t document = next_document_++;
    if (document == group_end_) {
        const std::uint64_t group = group_of(document, val_fraction_);
        do {
            ++group_end_;
        } while (group_of(group_end_, val_fraction_) == group);
        const std::array<std::uint64_t, 2> key = {
            group, base::checksum64(beginning.substr(0, kDrawBytes))};
        drawn_ =
            document + base::checksum64(std::as_bytes(std::span(key))) % (group_end_ - document);
    }
    return document == drawn_;
}

TailSearch tail_search(std::uint64_t document_bytes, double val_fraction) {
    const auto tail_bytes = std::max<std::uint64_t>(
        1,
        static_cast<std::uint64_t>(std::ceil(static_cast<double>(document_bytes) * val_fraction)));
    const std::uint64_t target = document_bytes - std::min(tail_bytes, document_bytes);
    // At most half the tail to either side, so that a far line break does not make it another size.
    const std::uint64_t reach = std::clamp<std::uint64_t>(tail_bytes / 2, 4, kSearchBytesMax);
    return {.target = target,
            .begin = target - std::min(target, reach),
            .end = std::min(document_bytes, target + reach)};
}

std::uint64_t tail_begin(const TailSearch& search,
                         std::uint64_t document_bytes,
                         std::string_view window) {
    // A place p of the document can be cut when 0 < p < document_bytes.
    const auto nearest = [&](auto is_cut) -> std::optional<std::uint64_t> {
        const std::uint64_t first = std::max<std::uint64_t>(search.begin, 1);
        const std::uint64_t end = std::min(search.end, document_bytes);
        for (std::uint64_t place = std::max(search.target, first); place < end; ++place) {
            if (is_cut(place - search.begin)) {
                return place;
            }
        }
        for (std::uint64_t place = std::min(search.target, end); place-- > first;) {
            if (is_cut(place - search.begin)) {
                return place;
            }
        }
        return std::nullopt;
    };
    const auto line_begins = [&](std::uint64_t index) {
        return index > 0 && window[index - 1] == '\n';
    };
    const auto is_space = [&](std::uint64_t index) {
        return window[index] == ' ' || (window[index] >= '\t' && window[index] <= '\r');
    };
    const auto character_begins = [&](std::uint64_t index) {
        return (static_cast<std::uint8_t>(window[index]) & 0xC0U) != 0x80U;
    };
    for (const auto& place : {nearest(line_begins), nearest(is_space), nearest(character_begins)}) {
        if (place.has_value()) {
            return *place;
        }
    }
    return document_bytes;
}

}  // namespace holdfast::data
