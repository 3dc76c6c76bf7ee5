#include "data/text_source.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "data/line_reader.h"
#include "fs/durable_write.h"

namespace holdfast::data {

using base::Error;
using base::ErrorKind;
using base::Result;
using base::Status;

namespace {

// A zero byte this early says that a file is not text, as git takes it too.
constexpr std::size_t kProbeBytes = std::size_t{8} << 10U;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

struct InputFile {
    std::string path;
    std::uint64_t bytes = 0;
};

bool is_jsonl(std::string_view path) {
    return path.ends_with(".jsonl") || path.ends_with(".ndjson");
}

// What the path leads to, links followed.
Result<fs::FileStatus> followed_status(fs::FileSystem& file_system, const std::string& path) {
    Result<fs::FileStatus> status = file_system.status(path);
    if (!status.ok() || status.value().type != fs::EntryType::kSymlink) {
        return status;
    }
    const auto file = file_system.open(path, fs::OpenOptions{});
    if (!file.ok()) {
        return file.error();
    }
    return file.value()->status();
}

Status add_folder(fs::FileSystem& file_system,
                  const std::string& folder,
                  std::vector<InputFile>& files) {
    const auto names = file_system.list(folder);
    if (!names.ok()) {
        return names.error();
    }
    for (const std::string& name : names.value()) {
        if (name.starts_with('.')) {
            continue;
        }
        const std::string path = fs::join(folder, name);
        const auto own = file_system.status(path);
        if (!own.ok()) {
            return own.error();
        }
        if (own.value().type == fs::EntryType::kDirectory) {
            const Status added = add_folder(file_system, path, files);
            if (!added.ok()) {
                return added;
            }
            continue;
        }
        const auto followed = followed_status(file_system, path);
        if (!followed.ok()) {
            return followed.error();
        }
        if (followed.value().type == fs::EntryType::kFile) {
            files.push_back({path, followed.value().bytes});
        }
    }
    return {};
}

Status add_input(fs::FileSystem& file_system,
                 const std::string& input,
                 std::vector<InputFile>& files) {
    const auto status = followed_status(file_system, input);
    if (!status.ok()) {
        return status.error();
    }
    if (status.value().type == fs::EntryType::kFile) {
        files.push_back({input, status.value().bytes});
        return {};
    }
    if (status.value().type != fs::EntryType::kDirectory) {
        return Error{
            ErrorKind::kInvalid, fmt::format("{} is neither a plain file nor a folder", input), 0};
    }
    const std::size_t before = files.size();
    const Status added = add_folder(file_system, input, files);
    if (added.ok() && files.size() == before) {
        return Error{ErrorKind::kInvalid, fmt::format("no files in the folder {}", input), 0};
    }
    return added;
}

// The "text" of one line of JSONL; `place` is "path:line".
Result<std::string> text_of_line(std::string_view line, const std::string& place) {
    const auto refuse = [&](std::string_view what) {
        return Error{
            ErrorKind::kInvalid,
            fmt::format("{}: {}; each line must be like {{\"text\": \"...\"}}", place, what),
            0};
    };
    nlohmann::json object;
    try {
        object = nlohmann::json::parse(line);
    } catch (const nlohmann::json::parse_error& error) {
        return refuse(fmt::format("not valid JSON at byte {} of the line", error.byte));
    } catch (const nlohmann::json::exception&) {  // a number no double can hold
        return refuse("not valid JSON");
    }
    if (!object.is_object()) {
        return refuse("not a JSON object");
    }
    const auto text = object.find("text");
    if (text == object.end() || !text->is_string()) {
        return refuse("there is no \"text\" that is a string");
    }
    return std::move(text->get_ref<std::string&>());
}

bool is_blank(std::string_view line) {
    return line.find_first_not_of(" \t\r") == std::string_view::npos;
}

}  // namespace

struct TextSource::State {
    explicit State(fs::FileSystem& files_given) : file_system(files_given) {}

    fs::FileSystem& file_system;
    std::vector<InputFile> files;
    std::size_t file_index = 0;  // the file that is open, or the next to open
    std::uint64_t bytes_total = 0;
    std::uint64_t bytes_before = 0;   // of the files before file_index
    std::unique_ptr<fs::File> file;   // of file_index; none before it is opened
    std::optional<LineReader> lines;  // when that file is JSONL
    std::string line_text;            // the current document of a JSONL file
    std::uint64_t document_bytes = 0;
    std::uint64_t offset = 0;  // of read() in the current document

    void close_file() {
        lines.reset();
        file.reset();
        bytes_before += files[file_index].bytes;
        ++file_index;
        document_bytes = 0;
        offset = 0;
    }

    Status open_file();
    Status check_is_text();
    Result<std::optional<TextDocument>> next_line();
};

Status TextSource::State::open_file() {
    InputFile& input = files[file_index];
    Result<std::unique_ptr<fs::File>> opened = file_system.open(input.path, fs::OpenOptions{});
    if (!opened.ok()) {
        return opened.error();
    }
    file = std::move(opened).value();
    if (is_jsonl(input.path)) {
        lines.emplace(*file, input.path, kLineBytesMax);
        return {};
    }
    document_bytes = input.bytes;
    offset = 0;
    return check_is_text();
}

Status TextSource::State::check_is_text() {
    const std::string& path = files[file_index].path;
    std::string probe(std::min<std::uint64_t>(document_bytes, kProbeBytes), '\0');
    const Status read = fs::read_exactly(*file, std::as_writable_bytes(std::span(probe)), 0, path);
    if (!read.ok()) {
        return read;
    }
    const std::size_t zero = probe.find('\0');
    if (zero != std::string::npos) {
        return Error{ErrorKind::kInvalid,
                     fmt::format("{} is not text: byte {} is zero; unpack it if it is compressed, "
                                 "save it as UTF-8 if it is UTF-16, or leave it out",
                                 path,
                                 zero),
                     0};
    }
    return {};
}

Result<std::optional<TextDocument>> TextSource::State::next_line() {
    const std::string& path = files[file_index].path;
    while (true) {
        const auto line = lines->next();
        if (!line.ok()) {
            return line.error();
        }
        if (!line.value().has_value()) {
            return std::optional<TextDocument>();
        }
        std::string_view content = *line.value();
        if (lines->line_number() == 1 && content.starts_with(kByteOrderMark)) {
            content.remove_prefix(kByteOrderMark.size());
        }
        if (is_blank(content)) {
            continue;
        }
        std::string place = fmt::format("{}:{}", path, lines->line_number());
        Result<std::string> text = text_of_line(content, place);
        if (!text.ok()) {
            return text.error();
        }
        line_text = std::move(text).value();
        document_bytes = line_text.size();
        offset = 0;
        if (document_bytes > 0) {
            return std::optional(TextDocument{std::move(place), document_bytes});
        }
    }
}

TextSource::TextSource(std::unique_ptr<State> state) : state_(std::move(state)) {}
TextSource::TextSource(TextSource&&) noexcept = default;
TextSource& TextSource::operator=(TextSource&&) noexcept = default;
TextSource::~TextSource() = default;

Result<TextSource> TextSource::open(fs::FileSystem& file_system,
                                    const std::vector<std::string>& inputs) {
    auto state = std::make_unique<State>(file_system);
    for (const std::string& input : inputs) {
        const Status added = add_input(file_system, input, state->files);
        if (!added.ok()) {
            return added.error();
        }
    }
    for (const InputFile& file : state->files) {
        state->bytes_total += file.bytes;
    }
    return TextSource(std::move(state));
}

Result<std::optional<TextDocument>> TextSource::next() {
    State& state = *state_;
    if (state.file != nullptr && !state.lines.has_value()) {
        state.close_file();
    }
    while (state.file_index < state.files.size()) {
        if (state.file == nullptr) {
            const Status opened = state.open_file();
            if (!opened.ok()) {
                return opened.error();
            }
        }
        if (!state.lines.has_value()) {
            if (state.document_bytes > 0) {
                return std::optional(
                    TextDocument{state.files[state.file_index].path, state.document_bytes});
            }
        } else {
            auto document = state.next_line();
            if (!document.ok() || document.value().has_value()) {
                return document;
            }
        }
        state.close_file();
    }
    return std::optional<TextDocument>();
}

Result<std::size_t> TextSource::read(std::size_t bytes_max, std::string& text) {
    const std::size_t bytes =
        std::min<std::uint64_t>(bytes_max, state_->document_bytes - state_->offset);
    const Status read = read_at(state_->offset, bytes, text);
    if (!read.ok()) {
        return read.error();
    }
    state_->offset += bytes;
    return bytes;
}

Status TextSource::read_at(std::uint64_t offset, std::size_t bytes, std::string& text) {
    const State& state = *state_;
    HF_CHECK(offset + bytes <= state.document_bytes,
             "{} bytes at {} of a document of {}",
             bytes,
             offset,
             state.document_bytes);
    if (bytes == 0) {
        return {};
    }
    if (state.lines.has_value()) {
        text.append(state.line_text, offset, bytes);
        return {};
    }
    const std::size_t before = text.size();
    text.resize(before + bytes);
    const Status read = fs::read_exactly(*state.file,
                                         std::as_writable_bytes(std::span(text).subspan(before)),
                                         offset,
                                         state.files[state.file_index].path);
    return read.ok() ? read : read.error().within("while preparing");
}

std::uint64_t TextSource::input_bytes_total() const {
    return state_->bytes_total;
}

std::uint64_t TextSource::input_bytes_done() const {
    const State& state = *state_;
    return state.bytes_before +
           (state.lines.has_value() ? state.lines->bytes_done() : state.offset);
}

std::uint64_t TextSource::file_count() const {
    return state_->files.size();
}

}  // namespace holdfast::data
