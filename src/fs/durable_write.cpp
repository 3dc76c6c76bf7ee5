#include "fs/durable_write.h"

#include <cerrno>
#include <memory>

#include <fmt/format.h>

namespace holdfast::fs {

using base::Error;
using base::ErrorKind;
using base::Result;
using base::Status;

namespace {

// Repeats `transfer(done)` until `bytes` are through. A transfer of 0 bytes ends it.
template <typename Transfer>
Result<std::size_t> repeat_transfer(std::size_t bytes, Transfer transfer) {
    std::size_t done = 0;
    int interruptions = 0;
    while (done < bytes) {
        const Result<std::size_t> count = transfer(done);
        if (!count.ok()) {
            if (count.error().os_errno == EINTR && ++interruptions < kInterruptionsMax) {
                continue;
            }
            return count.error();
        }
        interruptions = 0;
        if (count.value() == 0) {
            break;
        }
        done += count.value();
    }
    return done;
}

Status all_or_no_space(const Result<std::size_t>& done, std::size_t bytes) {
    if (!done.ok()) {
        return done.error();
    }
    if (done.value() < bytes) {
        return Error{ErrorKind::kNoSpace,
                     fmt::format("a write stopped after {} of {} bytes", done.value(), bytes),
                     0};
    }
    return Status{};
}

}  // namespace

Status write_all(File& file, std::span<const std::byte> bytes, std::uint64_t offset) {
    return all_or_no_space(
        repeat_transfer(
            bytes.size(),
            [&](std::size_t done) { return file.write_at(bytes.subspan(done), offset + done); }),
        bytes.size());
}

Status append_all(File& file, std::span<const std::byte> bytes) {
    return all_or_no_space(
        repeat_transfer(bytes.size(),
                        [&](std::size_t done) { return file.append(bytes.subspan(done)); }),
        bytes.size());
}

Status read_exactly(File& file,
                    std::span<std::byte> buffer,
                    std::uint64_t offset,
                    std::string_view path) {
    const Result<std::size_t> done = repeat_transfer(buffer.size(), [&](std::size_t so_far) {
        return file.read_at(buffer.subspan(so_far), offset + so_far);
    });
    if (!done.ok()) {
        return done.error();
    }
    if (done.value() < buffer.size()) {
        return Error{ErrorKind::kCorrupt,
                     fmt::format("{} ends at byte {}, {} bytes were expected there",
                                 path,
                                 offset + done.value(),
                                 buffer.size() - done.value()),
                     0};
    }
    return Status{};
}

Result<std::string> read_file(FileSystem& file_system,
                              const std::string& path,
                              std::uint64_t bytes_max) {
    Result<std::unique_ptr<File>> file = file_system.open(path, OpenOptions{});
    if (!file.ok()) {
        return file.error();
    }
    const Result<FileStatus> status = file.value()->status();
    if (!status.ok()) {
        return status.error();
    }
    if (status.value().type != EntryType::kFile) {
        return Error{ErrorKind::kInvalid, fmt::format("{} is not a plain file", path), 0};
    }
    if (status.value().bytes > bytes_max) {
        return Error{ErrorKind::kInvalid,
                     fmt::format("{} is {} bytes; at most {} are expected here",
                                 path,
                                 status.value().bytes,
                                 bytes_max),
                     0};
    }
    std::string text(status.value().bytes, '\0');
    const Status read =
        read_exactly(*file.value(), std::as_writable_bytes(std::span(text)), 0, path);
    if (!read.ok()) {
        return read.error();
    }
    return text;
}

namespace {

Status write_new_file(FileSystem& file_system, const std::string& path, std::string_view bytes) {
    Result<std::unique_ptr<File>> file =
        file_system.open(path, OpenOptions{.mode = OpenMode::kCreateNew});
    if (!file.ok()) {
        return file.error();
    }
    const Status written = write_all(*file.value(), std::as_bytes(std::span(bytes)), 0);
    if (!written.ok()) {
        return written.error().within(fmt::format("writing {}", path));
    }
    const Status synced = file.value()->sync();
    return synced.ok() ? file.value()->close() : synced;
}

}  // namespace

Result<std::string> follow_symlinks(FileSystem& file_system, const std::string& path) {
    constexpr int kSymlinksMax = 40;  // as the kernel
    std::string at = path;
    for (int followed = 0; followed <= kSymlinksMax; ++followed) {
        const Result<FileStatus> status = file_system.status(at);
        if (!status.ok() && status.error().kind != ErrorKind::kNotFound) {
            return status.error();
        }
        if (!status.ok() || status.value().type != EntryType::kSymlink) {
            return at;
        }
        const Result<std::string> target = file_system.read_symlink(at);
        if (!target.ok()) {
            return target;
        }
        at = target.value().starts_with('/') ? target.value() : join(parent_of(at), target.value());
    }
    return Error{ErrorKind::kInvalid, fmt::format("{} leads through too many symlinks", path), 0};
}

Status replace_file(FileSystem& file_system, const std::string& path, std::string_view bytes) {
    const std::string temporary = path + ".new";
    const Status removed = file_system.remove_file(temporary);
    if (!removed.ok() && removed.error().kind != ErrorKind::kNotFound) {
        return removed;
    }
    Status result = write_new_file(file_system, temporary, bytes);
    if (!result.ok() && result.error().os_errno == EINTR) {
        // A sync that was broken off is not made again: the file is.
        result = file_system.remove_file(temporary);
        if (result.ok()) {
            result = write_new_file(file_system, temporary, bytes);
        }
    }
    if (result.ok()) {
        result = file_system.rename(temporary, path, RenameMode::kReplace);
    }
    if (!result.ok()) {
        // Best effort: a left-over temporary is replaced by the next call.
        static_cast<void>(file_system.remove_file(temporary).ok());
        return result;
    }
    return file_system.sync_directory(parent_of(path));
}

}  // namespace holdfast::fs
