#include "checkpoint/log_prefix.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "fs/durable_write.h"

namespace holdfast::checkpoint {

using base::ErrorKind;
using base::Result;
using base::Status;

namespace {

constexpr std::size_t kPieceBytes = std::size_t{1} << 20U;
constexpr std::int64_t kTailsMax = 10'000;

// Passes the bytes [begin, end) of `file` on, piece by piece.
template <typename Take>
Status for_each_piece(
    fs::File& file, std::uint64_t begin, std::uint64_t end, const std::string& path, Take take) {
    std::vector<std::byte> buffer(std::min<std::uint64_t>(kPieceBytes, end - begin));
    while (begin < end) {
        const std::span piece =
            std::span(buffer).first(std::min<std::uint64_t>(buffer.size(), end - begin));
        if (Status read = fs::read_exactly(file, piece, begin, path); !read.ok()) {
            return read;
        }
        if (Status taken = take(std::span<const std::byte>(piece)); !taken.ok()) {
            return taken;
        }
        begin += piece.size();
    }
    return Status{};
}

Result<std::uint64_t> checksum_of(fs::File& file,
                                  std::uint64_t begin,
                                  std::uint64_t end,
                                  const std::string& path) {
    base::StreamingChecksum checksum;
    const Status read = for_each_piece(file, begin, end, path, [&](auto piece) {
        checksum.update(piece);
        return Status{};
    });
    if (!read.ok()) {
        return read.error();
    }
    return checksum.digest64();
}

// Whether `path` already holds exactly `bytes` with this checksum.
Result<bool> holds(fs::FileSystem& file_system,
                   const std::string& path,
                   std::uint64_t bytes,
                   std::uint64_t checksum) {
    Result<std::unique_ptr<fs::File>> file = file_system.open(path, fs::OpenOptions{});
    if (!file.ok()) {
        return file.error();
    }
    const Result<fs::FileStatus> status = file.value()->status();
    if (!status.ok()) {
        return status.error();
    }
    if (status.value().bytes != bytes) {
        return false;
    }
    const Result<std::uint64_t> found = checksum_of(*file.value(), 0, bytes, path);
    if (!found.ok()) {
        return found.error();
    }
    return found.value() == checksum;
}

Status copy_range(fs::FileSystem& file_system,
                  fs::File& from,
                  std::uint64_t begin,
                  std::uint64_t end,
                  const std::string& from_path,
                  const std::string& path) {
    const std::string temporary = path + ".new";
    const Status removed = file_system.remove_file(temporary);
    if (!removed.ok() && removed.error().kind != ErrorKind::kNotFound) {
        return removed;
    }
    Result<std::unique_ptr<fs::File>> file =
        file_system.open(temporary, fs::OpenOptions{.mode = fs::OpenMode::kCreateNew});
    if (!file.ok()) {
        return file.error();
    }
    Status status =
        for_each_piece(from, begin, end, from_path, [&, at = std::uint64_t{0}](auto piece) mutable {
            Status written = fs::write_all(*file.value(), piece, at);
            at += piece.size();
            return written;
        });
    if (status.ok()) {
        status = file.value()->sync();
    }
    if (status.ok()) {
        status = file.value()->close();
    }
    if (status.ok()) {
        status = file_system.rename(temporary, path, fs::RenameMode::kNoReplace);
    }
    return status.ok() ? file_system.sync_directory(fs::parent_of(path)) : status;
}

// A durable copy of the tail. One that a crash left complete is found again, and one of an earlier
// resume is never overwritten.
Result<std::string> save_tail(fs::FileSystem& file_system,
                              const RunPaths& paths,
                              fs::File& log,
                              const std::string& log_path,
                              std::uint64_t begin,
                              std::uint64_t end,
                              const Identity& identity) {
    const Result<std::uint64_t> checksum = checksum_of(log, begin, end, log_path);
    if (!checksum.ok()) {
        return checksum.error();
    }
    for (std::int64_t suffix = 1; suffix <= kTailsMax; ++suffix) {
        std::string path = paths.in_run(log_tail_name(identity.lineage, identity.save_id, suffix));
        const Result<bool> taken = fs::exists(file_system, path);
        if (!taken.ok()) {
            return taken.error();
        }
        if (!taken.value()) {
            const Status copied = copy_range(file_system, log, begin, end, log_path, path);
            return copied.ok() ? Result<std::string>(std::move(path)) : copied.error();
        }
        const Result<bool> same = holds(file_system, path, end - begin, checksum.value());
        if (!same.ok()) {
            return same.error();
        }
        if (same.value()) {
            return path;
        }
    }
    return base::Error{ErrorKind::kExists, "too many log tails of one checkpoint", 0};
}

LogResume mismatch(std::string problem, std::uint64_t bytes, base::StreamingChecksum running) {
    LogResume resume;
    resume.matched = false;
    resume.problem = std::move(problem);
    resume.bytes = bytes;
    resume.running = std::move(running);
    return resume;
}

// A log that is not the checkpoint's goes on as it is; its running checksum covers all of it.
Result<LogResume> keep_as_is(fs::File& log,
                             const std::string& path,
                             std::uint64_t bytes,
                             std::string problem) {
    base::StreamingChecksum running;
    const Status read = for_each_piece(log, 0, bytes, path, [&](auto piece) {
        running.update(piece);
        return Status{};
    });
    if (!read.ok()) {
        return read.error();
    }
    return mismatch(std::move(problem), bytes, std::move(running));
}

}  // namespace

Result<LogResume> resume_log(fs::FileSystem& file_system,
                             const RunPaths& paths,
                             const LogPrefix& prefix,
                             const Identity& identity) {
    const std::string path = paths.in_run(kLogName);
    Result<std::unique_ptr<fs::File>> opened =
        file_system.open(path, fs::OpenOptions{.mode = fs::OpenMode::kReadWrite});
    if (!opened.ok() && opened.error().kind == ErrorKind::kNotFound) {
        return prefix.bytes == 0 ? LogResume{}
                                 : mismatch(fmt::format("{} is gone: it begins anew", path), 0, {});
    }
    if (!opened.ok()) {
        return opened.error();
    }
    fs::File& log = *opened.value();
    const Result<fs::FileStatus> status = log.status();
    if (!status.ok()) {
        return status.error();
    }
    const std::uint64_t bytes = status.value().bytes;
    if (bytes < prefix.bytes) {
        return keep_as_is(
            log,
            path,
            bytes,
            fmt::format("{} has {} bytes, the checkpoint knew {}: it goes on as it is",
                        path,
                        bytes,
                        prefix.bytes));
    }
    LogResume resume;
    const Status read = for_each_piece(log, 0, prefix.bytes, path, [&](auto piece) {
        resume.running.update(piece);
        return Status{};
    });
    if (!read.ok()) {
        return read.error();
    }
    if (resume.running.digest64() != prefix.checksum) {
        return keep_as_is(
            log,
            path,
            bytes,
            fmt::format("{} was changed since the checkpoint: it goes on as it is", path));
    }
    resume.bytes = prefix.bytes;
    resume.cut_bytes = bytes - prefix.bytes;
    if (resume.cut_bytes == 0) {
        return resume;
    }
    Result<std::string> tail =
        save_tail(file_system, paths, log, path, prefix.bytes, bytes, identity);
    if (!tail.ok()) {
        return tail.error().within("keeping the log lines after the checkpoint");
    }
    resume.tail_path = std::move(tail).value();
    Status cut = log.truncate(prefix.bytes);
    if (cut.ok()) {
        cut = log.sync();
    }
    if (cut.ok()) {
        cut = log.close();
    }
    if (!cut.ok()) {
        return cut.error();
    }
    return resume;
}

}  // namespace holdfast::checkpoint
