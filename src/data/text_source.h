// Documents out of text files, folders and JSONL, one after another in a fixed order.
//
// Inputs are taken in the order given. A folder stands for all plain files below it, sorted by path
// byte by byte, depth first; names that start with '.' are left out, links to files are followed,
// links to folders inside a folder are not. A file whose name ends in .jsonl or .ndjson holds one
// document a line: a JSON object whose "text" is a string (other keys are ignored, blank lines are
// skipped). Any other file is one document. Empty documents are skipped.
//
// Memory: a text file is read in pieces; a JSONL line is held whole, so it may have at most
// kLineBytesMax bytes.
//
// Errors are one line that starts with the path, for JSONL with path:line: kNotFound (no such
// input), kInvalid (a folder without files, a zero byte in the first 8 KiB of a text file, a line
// too long, not JSON, no "text" string), kCorrupt (a file became shorter while it was read), kIo.
// Reads through the fs seam; may block on the disk. One thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "fs/file_system.h"

namespace holdfast::data {

inline constexpr std::uint64_t kLineBytesMax = std::uint64_t{64} << 20U;

// Where a document stands and how long it is.
struct TextDocument {
    std::string place;        // "path" or "path:line", for messages
    std::uint64_t bytes = 0;  // of its text; > 0
};

class TextSource {
public:
    // Looks the inputs up and lists folders; reads no text yet. `file_system` must outlive the
    // source.
    static base::Result<TextSource> open(fs::FileSystem& file_system,
                                         const std::vector<std::string>& inputs);

    TextSource(TextSource&&) noexcept;
    TextSource& operator=(TextSource&&) noexcept;
    TextSource(const TextSource&) = delete;
    TextSource& operator=(const TextSource&) = delete;
    ~TextSource();

    // Moves to the next document, leaving out what was not read of the current one; nothing after
    // the last.
    base::Result<std::optional<TextDocument>> next();

    // Appends up to `bytes_max` more bytes of the current document to `text`; returns how many, 0
    // at its end.
    base::Result<std::size_t> read(std::size_t bytes_max, std::string& text);

    // Appends exactly `bytes` bytes from `offset` of the current document, which has them all;
    // where read() stands does not change.
    base::Status read_at(std::uint64_t offset, std::size_t bytes, std::string& text);

    // Bytes of the files found, and how many of them have been passed; for a progress line.
    [[nodiscard]] std::uint64_t input_bytes_total() const;
    [[nodiscard]] std::uint64_t input_bytes_done() const;
    [[nodiscard]] std::uint64_t file_count() const;

private:
    struct State;
    explicit TextSource(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace holdfast::data
