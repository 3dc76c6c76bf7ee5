#include "train/file_service.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "base/words.h"
#include "checkpoint/checkpoint_name.h"

namespace holdfast::train {

using base::Error;
using base::ErrorKind;
using base::Result;
using base::Status;

namespace {

FileAnswer failed(const Error& error) {
    return {.status = error};
}

FileAnswer told(const Status& status) {
    return {.status = status};
}

FileAnswer counted(const Result<std::size_t>& count) {
    return count.ok() ? FileAnswer{.bytes = count.value()} : failed(count.error());
}

FileAnswer stated(const Result<fs::FileStatus>& status) {
    return status.ok() ? FileAnswer{.file_status = status.value()} : failed(status.error());
}

bool only_reads(const FileQuestion& question) {
    return question.call == FileCall::kStatus || question.call == FileCall::kList ||
           (question.call == FileCall::kOpen && question.options.mode == fs::OpenMode::kRead);
}

bool is_on_a_name(FileCall call) {
    return call == FileCall::kOpen || call == FileCall::kStatus ||
           call == FileCall::kSyncDirectory || call == FileCall::kRemoveFile ||
           call == FileCall::kList;
}

}  // namespace

void FileService::allow(const std::string& directory) {
    const std::lock_guard lock(mutex_);
    readable_.push_back(directory);
}

bool FileService::is_pending(const std::string& directory) const {
    return fs::parent_of(directory) == run_directory_ &&
           checkpoint::parse_pending_name(fs::name_of(directory)).has_value();
}

Status FileService::check_name(const FileQuestion& question) {
    const std::string& path = question.path;
    const std::string directory = fs::parent_of(path);
    const bool is_plain = path.find('\0') == std::string::npos && fs::name_of(path) != ".." &&
                          fs::name_of(path) != "." && !fs::name_of(path).empty();
    bool is_allowed = is_plain && is_pending(directory);
    if (is_plain &&
        (question.call == FileCall::kSyncDirectory || question.call == FileCall::kStatus) &&
        is_pending(path)) {
        is_allowed = true;
    } else if (is_plain && only_reads(question) && !is_allowed) {
        const std::lock_guard lock(mutex_);
        is_allowed = std::any_of(readable_.begin(), readable_.end(), [&](const std::string& one) {
            return directory == one || path == one;
        });
    }
    return is_allowed ? Status{}
                      : Status(Error{ErrorKind::kInvalid,
                                     fmt::format("{} is not for another rank to touch",
                                                 base::printable(path)),
                                     0});
}

FileAnswer FileService::open(int rank, const FileQuestion& question) {
    Result<std::unique_ptr<fs::File>> file = file_system_.open(question.path, question.options);
    if (!file.ok()) {
        return failed(file.error());
    }
    files_[{rank, ++last_file_}] = std::move(file).value();
    return {.file = last_file_};
}

FileAnswer FileService::list(const std::string& path, std::span<std::byte> buffer) const {
    const Result<std::vector<std::string>> names = file_system_.list(path);
    if (!names.ok()) {
        return failed(names.error());
    }
    std::size_t bytes = 0;
    for (const std::string& name : names.value()) {
        if (name.size() + 1 > dist::ByteChannel::kBodyBytesMax - bytes) {
            return failed({ErrorKind::kInvalid, "more names than a message holds", 0});
        }
        std::memcpy(buffer.data() + bytes, name.c_str(), name.size() + 1);
        bytes += name.size() + 1;
    }
    return {.bytes = bytes};
}

FileAnswer FileService::on_file(fs::File& file,
                                const FileQuestion& question,
                                std::span<std::byte> buffer,
                                std::size_t body_bytes) const {
    switch (question.call) {
        case FileCall::kRead:
            if (question.bytes > dist::ByteChannel::kBodyBytesMax) {
                return failed({ErrorKind::kInvalid, "more bytes than a message holds", 0});
            }
            return counted(file.read_at(buffer.first(question.bytes), question.offset));
        case FileCall::kWrite:
            return counted(file.write_at(buffer.first(body_bytes), question.offset));
        case FileCall::kSync:
            return told(file.sync());
        case FileCall::kTruncate:
            return told(file.truncate(question.bytes));
        case FileCall::kReserve:
            return told(file.reserve(question.bytes));
        case FileCall::kDropCache:
            return told(file.drop_cache());
        case FileCall::kFileStatus:
            return stated(file.status());
        default:
            return told(file.close());
    }
}

FileAnswer FileService::carry_out(int rank,
                                  const FileQuestion& question,
                                  std::span<std::byte> buffer,
                                  std::size_t body_bytes) {
    if (is_on_a_name(question.call)) {
        if (const Status allowed = check_name(question); !allowed.ok()) {
            return told(allowed);
        }
        switch (question.call) {
            case FileCall::kOpen:
                return open(rank, question);
            case FileCall::kStatus:
                return stated(file_system_.status(question.path));
            case FileCall::kList:
                return list(question.path, buffer);
            case FileCall::kSyncDirectory:
                return told(file_system_.sync_directory(question.path));
            default:
                return told(file_system_.remove_file(question.path));
        }
    }
    const auto found = files_.find({rank, question.file});
    if (found == files_.end()) {
        return failed({ErrorKind::kInvalid, "the file is not open", 0});
    }
    FileAnswer answer = on_file(*found->second, question, buffer, body_bytes);
    if (question.call == FileCall::kClose) {
        files_.erase(found);
    }
    return answer;
}

dist::ChannelAnswer FileService::answer(int rank,
                                        std::string_view head,
                                        std::span<std::byte> buffer,
                                        std::size_t body_bytes) {
    const Result<FileQuestion> question = parse_file_question(head);
    if (!question.ok()) {
        return {print_file_answer(failed(question.error())), 0};
    }
    const FileAnswer answer = carry_out(rank, question.value(), buffer, body_bytes);
    const FileCall call = question.value().call;
    const bool carries_bytes =
        (call == FileCall::kRead || call == FileCall::kList) && answer.status.ok();
    return {print_file_answer(answer), carries_bytes ? static_cast<std::size_t>(answer.bytes) : 0};
}

}  // namespace holdfast::train
