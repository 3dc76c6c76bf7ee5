#include "dist/slurm_hosts.h"

namespace holdfast::dist {

namespace {

constexpr std::string_view kDigits = "0123456789";

bool is_host_character(char character) {
    return (character >= '0' && character <= '9') || (character >= 'a' && character <= 'z') ||
           (character >= 'A' && character <= 'Z') || character == '-' || character == '.' ||
           character == '_';
}

// The first number of "1-3,7", as it is written: leading zeros are part of the name.
std::optional<std::string_view> first_of_ranges(std::string_view ranges) {
    if (ranges.find_first_not_of("0123456789,-") != std::string_view::npos) {
        return std::nullopt;
    }
    const std::string_view number = ranges.substr(0, ranges.find_first_not_of(kDigits));
    if (number.empty()) {
        return std::nullopt;
    }
    return number;
}

}  // namespace

std::optional<std::string> first_slurm_host(std::string_view node_list) {
    std::string host;
    std::size_t at = 0;
    while (at < node_list.size() && node_list[at] != ',') {
        if (node_list[at] == '[') {
            const std::size_t end = node_list.find(']', at);
            if (end == std::string_view::npos) {
                return std::nullopt;
            }
            const auto number = first_of_ranges(node_list.substr(at + 1, end - at - 1));
            if (!number) {
                return std::nullopt;
            }
            host += *number;
            at = end + 1;
        } else if (is_host_character(node_list[at])) {
            host += node_list[at];
            ++at;
        } else {
            return std::nullopt;
        }
    }
    if (host.empty()) {
        return std::nullopt;
    }
    return host;
}

}  // namespace holdfast::dist
