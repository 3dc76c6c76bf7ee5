#include "train/remote_file_system.h"

#include <algorithm>
#include <cerrno>
#include <new>
#include <utility>

#include <fmt/format.h>

#include "train/file_message.h"

namespace holdfast::train {

using base::Error;
using base::ErrorKind;
using base::Result;
using base::Status;

namespace {

// Names of the files of a checkpoint of some thousand ranks.
constexpr std::size_t kListBytesMax = std::size_t{1} << 20U;

// One question and its answer; an error of rank 0 is one here.
Result<FileAnswer> ask(dist::ByteChannel& channel,
                       const FileQuestion& question,
                       std::span<const std::byte> body = {},
                       std::span<std::byte> answer_body = {}) {
    const Result<dist::ChannelAnswer> reply =
        channel.ask(print_file_question(question), body, answer_body);
    if (!reply.ok()) {
        return reply.error();
    }
    Result<FileAnswer> answer = parse_file_answer(reply.value().head);
    if (answer.ok() && !answer.value().status.ok()) {
        return answer.value().status.error().within("rank 0");
    }
    return answer;
}

Status status_of(const Result<FileAnswer>& answer) {
    return answer.ok() ? Status{} : Status(answer.error());
}

Error not_from_afar(std::string_view verb, const std::string& path) {
    return {ErrorKind::kInvalid,
            fmt::format("cannot {} {}: not on the disk of another rank", verb, path),
            0};
}

class RemoteFile : public fs::File {
public:
    RemoteFile(dist::ByteChannel& channel, std::string path, std::int64_t file)
        : channel_(channel), path_(std::move(path)), file_(file) {}
    RemoteFile(const RemoteFile&) = delete;
    RemoteFile& operator=(const RemoteFile&) = delete;
    RemoteFile(RemoteFile&&) = delete;
    RemoteFile& operator=(RemoteFile&&) = delete;
    ~RemoteFile() override {
        if (file_ == 0) {
            return;
        }
        // Best effort, also without memory: rank 0 closes what is left when it ends.
        try {
            static_cast<void>(simple(FileCall::kClose).ok());
        } catch (const std::bad_alloc&) {
            file_ = 0;
        }
    }

    Result<std::size_t> read_at(std::span<std::byte> buffer, std::uint64_t offset) override {
        const auto part = buffer.first(std::min(buffer.size(), dist::ByteChannel::kBodyBytesMax));
        const Result<FileAnswer> answer =
            ask(channel_,
                {.call = FileCall::kRead, .file = file_, .offset = offset, .bytes = part.size()},
                {},
                part);
        return counted(answer, part.size());
    }
    Result<std::size_t> write_at(std::span<const std::byte> bytes, std::uint64_t offset) override {
        const auto part = bytes.first(std::min(bytes.size(), dist::ByteChannel::kBodyBytesMax));
        const Result<FileAnswer> answer =
            ask(channel_, {.call = FileCall::kWrite, .file = file_, .offset = offset}, part);
        return counted(answer, part.size());
    }
    Result<std::size_t> append(std::span<const std::byte> /*bytes*/) override {
        return not_from_afar("append to", path_);
    }
    Status sync() override { return simple(FileCall::kSync); }
    Status truncate(std::uint64_t bytes) override { return simple(FileCall::kTruncate, bytes); }
    Status reserve(std::uint64_t bytes) override { return simple(FileCall::kReserve, bytes); }
    Status drop_cache() override { return simple(FileCall::kDropCache); }
    Status set_permissions(std::uint32_t /*mode*/) override {
        return not_from_afar("change the mode of", path_);
    }
    Result<fs::FileStatus> status() override {
        const Result<FileAnswer> answer =
            ask(channel_, {.call = FileCall::kFileStatus, .file = file_});
        if (!answer.ok()) {
            return answer.error();
        }
        return answer.value().file_status;
    }
    Status lock_exclusive() override { return not_from_afar("lock", path_); }
    Status close() override {
        const Status closed = simple(FileCall::kClose);
        file_ = 0;
        return closed;
    }
    [[nodiscard]] int descriptor() const override { return -1; }

private:
    Status simple(FileCall call, std::uint64_t bytes = 0) {
        return status_of(ask(channel_, {.call = call, .file = file_, .bytes = bytes}));
    }

    // More than was asked for would be believed as bytes that were never sent.
    [[nodiscard]] Result<std::size_t> counted(const Result<FileAnswer>& answer,
                                              std::size_t most) const {
        if (!answer.ok()) {
            return answer.error();
        }
        if (answer.value().bytes > most) {
            return Error{ErrorKind::kIo,
                         fmt::format("rank 0 moved {} bytes of {}, {} were asked for",
                                     answer.value().bytes,
                                     path_,
                                     most),
                         EIO};
        }
        return static_cast<std::size_t>(answer.value().bytes);
    }

    dist::ByteChannel& channel_;
    std::string path_;
    std::int64_t file_;  // 0: closed
};

}  // namespace

Result<std::unique_ptr<fs::File>> RemoteFileSystem::open(const std::string& path,
                                                         const fs::OpenOptions& options) {
    const Result<FileAnswer> answer =
        ask(channel_, {.call = FileCall::kOpen, .path = path, .options = options});
    if (!answer.ok()) {
        return answer.error();
    }
    return std::unique_ptr<fs::File>(
        std::make_unique<RemoteFile>(channel_, path, answer.value().file));
}

Result<std::unique_ptr<fs::Mapping>> RemoteFileSystem::map(const std::string& path) {
    return not_from_afar("map", path);
}

Status RemoteFileSystem::make_directory(const std::string& path) {
    return not_from_afar("make", path);
}

Status RemoteFileSystem::remove_directory(const std::string& path) {
    return not_from_afar("remove", path);
}

Status RemoteFileSystem::remove_file(const std::string& path) {
    return status_of(ask(channel_, {.call = FileCall::kRemoveFile, .path = path}));
}

Status RemoteFileSystem::rename(const std::string& from,
                                const std::string& /*to*/,
                                fs::RenameMode /*mode*/) {
    return not_from_afar("rename", from);
}

Status RemoteFileSystem::hard_link(const std::string& existing, const std::string& /*link*/) {
    return not_from_afar("link", existing);
}

Status RemoteFileSystem::make_symlink(const std::string& /*target*/, const std::string& link) {
    return not_from_afar("make", link);
}

Result<std::string> RemoteFileSystem::read_symlink(const std::string& link) {
    return not_from_afar("read", link);
}

Status RemoteFileSystem::sync_directory(const std::string& path) {
    return status_of(ask(channel_, {.call = FileCall::kSyncDirectory, .path = path}));
}

Result<std::vector<std::string>> RemoteFileSystem::list(const std::string& path) {
    std::vector<std::byte> bytes(kListBytesMax);
    const Result<FileAnswer> answer =
        ask(channel_, {.call = FileCall::kList, .path = path}, {}, bytes);
    if (!answer.ok()) {
        return answer.error();
    }
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()),
                                std::min<std::size_t>(answer.value().bytes, bytes.size()));
    std::vector<std::string> names;
    for (std::size_t begin = 0; begin < text.size();) {
        const std::size_t end = std::min(text.find('\0', begin), text.size());
        names.emplace_back(text.substr(begin, end - begin));
        begin = end + 1;
    }
    return names;
}

Result<fs::FileStatus> RemoteFileSystem::status(const std::string& path) {
    const Result<FileAnswer> answer = ask(channel_, {.call = FileCall::kStatus, .path = path});
    if (!answer.ok()) {
        return answer.error();
    }
    return answer.value().file_status;
}

Result<fs::SpaceStatus> RemoteFileSystem::space(const std::string& path) {
    return not_from_afar("look at the space of", path);
}

}  // namespace holdfast::train
