// Lines of a file, one after another, with a bound on their length.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "fs/file_system.h"

namespace holdfast::data {

// One thread at a time; next() may block on the disk.
class LineReader {
public:
    // `file` must outlive the reader; `path` is for messages.
    LineReader(fs::File& file, std::string path, std::uint64_t line_bytes_max)
        : file_(file), path_(std::move(path)), line_bytes_max_(line_bytes_max) {}

    // The next line without its '\n', valid until the next call; nothing after the last. The last
    // line need not end in '\n'. kInvalid, "path:line: ...", when a line is longer than the bound.
    base::Result<std::optional<std::string_view>> next();

    // Of the line next() gave last; the first is 1.
    [[nodiscard]] std::uint64_t line_number() const { return line_number_; }
    // Where in the file the line after it begins.
    [[nodiscard]] std::uint64_t bytes_done() const { return bytes_done_; }

private:
    base::Result<std::size_t> read_more();

    fs::File& file_;
    std::string path_;
    std::uint64_t line_bytes_max_;
    std::string buffer_;
    std::size_t begin_ = 0;  // of what is not yet given out in `buffer_`
    std::uint64_t read_offset_ = 0;
    std::uint64_t line_number_ = 0;
    std::uint64_t bytes_done_ = 0;
};

}  // namespace holdfast::data
