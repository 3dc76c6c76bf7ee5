#include "fuzz/checksummed_text.h"

#include "checkpoint/strict_json.h"

namespace holdfast::fuzz {

std::string with_right_checksum(std::string_view input) {
    constexpr std::string_view kLineStart = "\"checksum\":\"";
    const std::size_t line = input.rfind(kLineStart);
    return checkpoint::with_checksum_line(std::string(input.substr(0, line)));
}

}  // namespace holdfast::fuzz
