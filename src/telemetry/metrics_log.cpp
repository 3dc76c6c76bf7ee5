#include "telemetry/metrics_log.h"

#include <algorithm>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "fs/durable_write.h"

namespace holdfast::telemetry {

namespace {

constexpr std::size_t kReadBytes = std::size_t{1} << 20U;
// Far more than any line has.
constexpr std::size_t kLineBytesMax = std::size_t{64} << 10U;
// A tail was in memory when it was kept.
constexpr std::uint64_t kTailBytesMax = std::uint64_t{4} << 30U;

base::Result<std::string> read_range(fs::File& file,
                                     const std::string& path,
                                     std::uint64_t begin,
                                     std::uint64_t end) {
    std::string bytes(static_cast<std::size_t>(end - begin), '\0');
    if (auto read = fs::read_exactly(file, std::as_writable_bytes(std::span(bytes)), begin, path);
        !read.ok()) {
        return read.error();
    }
    return bytes;
}

// The offset after the last line feed at or before `end`; 0 when there is none.
base::Result<std::uint64_t> last_line_end(fs::File& file,
                                          const std::string& path,
                                          std::uint64_t end) {
    while (end > 0) {
        const std::uint64_t begin = end - std::min<std::uint64_t>(end, kReadBytes);
        auto bytes = read_range(file, path, begin, end);
        if (!bytes.ok()) {
            return bytes.error();
        }
        const std::size_t line_feed = bytes.value().rfind('\n');
        if (line_feed != std::string::npos) {
            return begin + line_feed + 1;
        }
        end = begin;
    }
    return std::uint64_t{0};
}

base::Result<LogPosition> position_of(fs::File& file,
                                      const std::string& path,
                                      std::uint64_t bytes) {
    base::StreamingChecksum checksum;
    std::vector<std::byte> buffer(
        static_cast<std::size_t>(std::min<std::uint64_t>(bytes, kReadBytes)));
    for (std::uint64_t offset = 0; offset < bytes;) {
        const auto piece = std::span(buffer).first(
            static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), bytes - offset)));
        if (auto read = fs::read_exactly(file, piece, offset, path); !read.ok()) {
            return read.error();
        }
        checksum.update(piece);
        offset += piece.size();
    }
    return LogPosition{bytes, checksum.digest64()};
}

// "metrics.1-ab.jsonl" as "metrics.1-ab-2.jsonl".
std::string numbered(const std::string& path, int number) {
    const std::string ending = ".jsonl";
    const bool has_ending = path.ends_with(ending);
    const std::string stem = has_ending ? path.substr(0, path.size() - ending.size()) : path;
    return fmt::format("{}-{}{}", stem, number, has_ending ? ending : "");
}

// Keeps `tail` under the first free name; one that already holds exactly these bytes will do.
base::Result<std::string> keep_tail(fs::FileSystem& file_system,
                                    const std::string& tail_path,
                                    const std::string& tail) {
    std::string path = tail_path;
    for (int number = 2;; ++number) {
        const auto taken = fs::exists(file_system, path);
        if (!taken.ok()) {
            return taken.error();
        }
        if (!taken.value()) {
            break;
        }
        const auto held = fs::read_file(file_system, path, tail.size());
        if (held.ok() && held.value() == tail) {
            return path;
        }
        path = numbered(tail_path, number);
    }
    if (auto written = fs::replace_file(file_system, path, tail); !written.ok()) {
        return written.error();
    }
    return path;
}

// The kept tails beside the log at `path`.
std::vector<std::string> tails_beside(fs::FileSystem& file_system, const std::string& path) {
    const std::string ending = ".jsonl";
    const std::string log_name = fs::name_of(path);
    const std::string stem = log_name.substr(0, log_name.rfind(ending)) + '.';
    const auto names = file_system.list(fs::parent_of(path));
    std::vector<std::string> tails;
    for (const std::string& name : names.ok() ? names.value() : std::vector<std::string>{}) {
        if (name != log_name && name.starts_with(stem) && name.ends_with(ending)) {
            tails.push_back(fs::join(fs::parent_of(path), name));
        }
    }
    return tails;
}

// A log shorter than `remembered` may have been cut for a rollback whose first checkpoint never
// came to be. When a kept tail completes it, it is put back whole; true: done.
base::Result<bool> put_tail_back(fs::FileSystem& file_system,
                                 fs::File& file,
                                 const std::string& path,
                                 std::uint64_t file_bytes,
                                 const LogPosition& remembered) {
    const auto log = read_range(file, path, 0, file_bytes);
    if (!log.ok()) {
        return log.error();
    }
    for (const std::string& tail_path : tails_beside(file_system, path)) {
        const auto tail = fs::read_file(file_system, tail_path, kTailBytesMax);
        if (!tail.ok() || file_bytes + tail.value().size() < remembered.bytes) {
            continue;
        }
        const std::string whole = log.value() + tail.value();
        if (base::checksum64(std::string_view(whole).substr(0, remembered.bytes)) ==
            remembered.checksum) {
            const auto replaced = fs::replace_file(file_system, path, whole);
            return replaced.ok() ? base::Result<bool>(true) : replaced.error();
        }
    }
    return false;
}

base::Status cut_at(fs::File& file, std::uint64_t bytes) {
    if (auto cut = file.truncate(bytes); !cut.ok()) {
        return cut;
    }
    return file.sync();
}

std::string mismatch_note(const std::string& path,
                          const LogPosition& remembered,
                          std::uint64_t file_bytes,
                          std::uint64_t kept_bytes) {
    const std::string found = file_bytes < remembered.bytes
                                  ? fmt::format("it has {}", file_bytes)
                                  : std::string("their checksum is another");
    return fmt::format(
        "{} is not what the checkpoint remembers: expected {} bytes with XXH3 {}, {}; its first {} "
        "bytes are kept and the run goes on",
        path,
        remembered.bytes,
        base::to_hex(remembered.checksum),
        found,
        kept_bytes);
}

}  // namespace

base::Result<LogPosition> read_log_position(fs::FileSystem& file_system,
                                            const std::string& path,
                                            std::uint64_t bytes) {
    auto file = file_system.open(path, {.mode = fs::OpenMode::kRead});
    if (!file.ok()) {
        if (file.error().kind == base::ErrorKind::kNotFound) {
            return LogPosition{};
        }
        return file.error();
    }
    const auto status = file.value()->status();
    if (!status.ok()) {
        return status.error();
    }
    return position_of(*file.value(), path, std::min(bytes, status.value().bytes));
}

base::Result<LogCut> cut_log(fs::FileSystem& file_system,
                             const std::string& path,
                             const LogPosition& remembered,
                             const std::string& tail_path) {
    auto opened = file_system.open(path, {.mode = fs::OpenMode::kOpenOrCreate});
    if (!opened.ok()) {
        return opened.error();
    }
    fs::File& file = *opened.value();
    const auto status = file.status();
    if (!status.ok()) {
        return status.error();
    }
    const std::uint64_t file_bytes = status.value().bytes;
    if (file_bytes < remembered.bytes) {
        const auto put_back = put_tail_back(file_system, file, path, file_bytes, remembered);
        if (!put_back.ok()) {
            return put_back.error();
        }
        if (put_back.value()) {
            return cut_log(file_system, path, remembered, tail_path);
        }
    }
    const std::uint64_t prefix_bytes = std::min(remembered.bytes, file_bytes);
    auto position = position_of(file, path, prefix_bytes);
    if (!position.ok()) {
        return position.error();
    }
    LogCut cut;
    cut.matches = position.value() == remembered;
    std::uint64_t kept_bytes = prefix_bytes;
    if (!cut.matches) {
        const auto line_end = last_line_end(file, path, prefix_bytes);
        if (!line_end.ok()) {
            return line_end.error();
        }
        kept_bytes = line_end.value();
        cut.note = mismatch_note(path, remembered, file_bytes, kept_bytes);
        position = position_of(file, path, kept_bytes);
        if (!position.ok()) {
            return position.error();
        }
    }
    cut.position = position.value();
    if (kept_bytes < file_bytes) {
        const auto tail = read_range(file, path, kept_bytes, file_bytes);
        if (!tail.ok()) {
            return tail.error();
        }
        auto kept_in = keep_tail(file_system, tail_path, tail.value());
        if (!kept_in.ok()) {
            return kept_in.error();
        }
        cut.tail_path = std::move(kept_in).value();
        cut.tail_bytes = file_bytes - kept_bytes;
        if (auto done = cut_at(file, kept_bytes); !done.ok()) {
            return done.error();
        }
    }
    return cut;
}

std::optional<StepMetrics> read_line_at(fs::FileSystem& file_system,
                                        const std::string& path,
                                        std::uint64_t begin) {
    const auto file = file_system.open(path, {});
    if (!file.ok()) {
        return std::nullopt;
    }
    std::string text(kLineBytesMax, '\0');
    const auto count = file.value()->read_at(std::as_writable_bytes(std::span(text)), begin);
    text.resize(count.ok() ? count.value() : 0);
    const std::size_t line_end = text.find('\n');
    if (line_end == std::string::npos) {
        return std::nullopt;
    }
    auto line = parse_step_metrics(std::string_view(text).substr(0, line_end));
    return line.ok() ? std::optional(std::move(line).value()) : std::nullopt;
}

MetricsLog::MetricsLog(std::unique_ptr<PatientFile> file) : file_(std::move(file)) {}

base::Result<std::unique_ptr<MetricsLog>> MetricsLog::open(fs::FileSystem& file_system,
                                                           const std::string& path) {
    {
        auto file = file_system.open(path, {.mode = fs::OpenMode::kOpenOrCreate});
        if (!file.ok()) {
            return file.error();
        }
        const auto status = file.value()->status();
        if (!status.ok()) {
            return status.error();
        }
        const auto line_end = last_line_end(*file.value(), path, status.value().bytes);
        if (!line_end.ok()) {
            return line_end.error();
        }
        if (line_end.value() < status.value().bytes) {
            if (auto cut = cut_at(*file.value(), line_end.value()); !cut.ok()) {
                return cut.error();
            }
        }
    }
    auto file = PatientFile::open(file_system, path);
    if (!file.ok()) {
        return file.error();
    }
    return std::unique_ptr<MetricsLog>(new MetricsLog(std::move(file).value()));
}

void MetricsLog::append(const StepMetrics& metrics) {
    // A refused line is counted by the file, which also tells of it.
    static_cast<void>(file_->append(to_json_line(metrics) + '\n'));
}

}  // namespace holdfast::telemetry
