// Words for bytes, counts and durations, for people; and numbers as people write them, read back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::base {

// "512 B", "1.5 KiB", "3.2 GiB": three significant digits, powers of 1024.
std::string bytes_in_words(std::uint64_t bytes);

// "734", "18.9k", "1.57M", "124M": three significant digits, powers of 1000.
std::string count_in_words(double count);

// "0.8s", "42s", "3m05s", "5h03m", "2d04h".
std::string duration_in_words(double seconds);

// A whole number as people write it: "250", "524_288", "10K", "1.5M", "2B" (K, M and B are powers
// of 1000). Nothing when it is not one, is not whole after the suffix, or does not fit.
std::optional<std::int64_t> parse_count(std::string_view text);

// A decimal number: "3e-4", "0.1", "-2". Nothing when anything else is in the text, or it is not
// finite.
std::optional<double> parse_real(std::string_view text);

// A time in seconds: "90", "90s", "1h30m", "2d". Nothing when it is not one.
std::optional<double> parse_duration(std::string_view text);

// A text from outside as a message may show it, on one line: control characters as \xNN, and no
// more than about `bytes_max` bytes of it ("... (70000 bytes)" after them). Other bytes stay as
// they are.
std::string printable(std::string_view text, std::size_t bytes_max = 120);

// Whichever of `candidates` is the fewest edits away (Levenshtein), if it is near enough to be a
// likely slip. Nothing for a word that is longer than any name.
std::optional<std::string> nearest_word(std::string_view word,
                                        const std::vector<std::string>& candidates);

}  // namespace holdfast::base
