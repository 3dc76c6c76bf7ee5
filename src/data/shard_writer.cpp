#include "data/shard_writer.h"

#include <algorithm>
#include <array>
#include <bit>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "base/checksum.h"
#include "fs/durable_write.h"

namespace holdfast::data {

using base::Result;
using base::Status;

namespace {

static_assert(std::endian::native == std::endian::little,
              "shards are written as they lie in memory");

constexpr std::size_t kBufferTokens = std::size_t{512} << 10U;

// Read back from the file, so that what is sealed is what a reader will find.
Result<std::uint64_t> checksum_of(fs::File& file, std::uint64_t bytes, const std::string& path) {
    base::StreamingChecksum checksum;
    std::vector<std::byte> piece(std::min<std::uint64_t>(bytes, std::uint64_t{1} << 20U));
    for (std::uint64_t offset = 0; offset < bytes; offset += piece.size()) {
        const auto part =
            std::span(piece).first(std::min<std::uint64_t>(piece.size(), bytes - offset));
        const Status read = fs::read_exactly(file, part, offset, path);
        if (!read.ok()) {
            return read.error();
        }
        checksum.update(part);
    }
    return checksum.digest64();
}

}  // namespace

ShardWriter::ShardWriter(fs::FileSystem& file_system,
                         std::string directory,
                         std::string prefix,
                         std::uint32_t first_number,
                         std::uint64_t shard_tokens_max)
    : file_system_(file_system),
      directory_(std::move(directory)),
      prefix_(std::move(prefix)),
      next_number_(first_number),
      shard_tokens_max_(shard_tokens_max) {
    HF_CHECK(shard_tokens_max >= 1 && shard_tokens_max <= kShardTokensLimit,
             "a shard of {} tokens",
             shard_tokens_max);
}

ShardWriter::~ShardWriter() = default;

Status ShardWriter::append(std::span<const std::uint16_t> tokens) {
    while (!tokens.empty()) {
        if (file_ == nullptr) {
            const Status opened = open_shard();
            if (!opened.ok()) {
                return opened;
            }
        }
        const std::size_t room = std::min<std::uint64_t>(shard_tokens_max_ - open_.tokens,
                                                         kBufferTokens - buffer_.size());
        const auto part = tokens.first(std::min(room, tokens.size()));
        buffer_.insert(buffer_.end(), part.begin(), part.end());
        open_.tokens += part.size();
        tokens = tokens.subspan(part.size());
        Status written;
        if (open_.tokens == shard_tokens_max_) {
            written = seal_shard();
        } else if (buffer_.size() == kBufferTokens) {
            written = flush();
        }
        if (!written.ok()) {
            return written;
        }
    }
    return {};
}

Result<std::vector<ShardSummary>> ShardWriter::finish() {
    if (file_ != nullptr) {
        const Status sealed = seal_shard();
        if (!sealed.ok()) {
            return sealed.error();
        }
    }
    const Status synced = file_system_.sync_directory(directory_);
    if (!synced.ok()) {
        return synced.error();
    }
    return std::exchange(sealed_, {});
}

Status ShardWriter::open_shard() {
    open_ = {.name = fmt::format("{}_{:06d}.bin", prefix_, next_number_)};
    flushed_tokens_ = 0;
    const std::string temporary = fs::join(directory_, open_.name) + ".new";
    const Status removed = file_system_.remove_file(temporary);
    if (!removed.ok() && removed.error().kind != base::ErrorKind::kNotFound) {
        return removed;
    }
    auto opened = file_system_.open(temporary, {.mode = fs::OpenMode::kCreateNew});
    if (!opened.ok()) {
        return opened.error();
    }
    file_ = std::move(opened).value();
    ++next_number_;
    return {};
}

Status ShardWriter::flush() {
    const Status written = fs::write_all(
        *file_, std::as_bytes(std::span(buffer_)), kShardHeaderBytes + 2 * flushed_tokens_);
    if (!written.ok()) {
        return written.error().within(fmt::format("writing {}", fs::join(directory_, open_.name)));
    }
    flushed_tokens_ += buffer_.size();
    buffer_.clear();
    return {};
}

Status ShardWriter::seal_shard() {
    const std::string path = fs::join(directory_, open_.name);
    Status status = flush();
    if (!status.ok()) {
        return status;
    }
    std::array<std::int32_t, kShardHeaderBytes / 4> header{};
    header[0] = kShardMagic;
    header[1] = kShardVersion;
    header[2] = static_cast<std::int32_t>(open_.tokens);
    status = fs::write_all(*file_, std::as_bytes(std::span(header)), 0);
    if (!status.ok()) {
        return status.error().within(fmt::format("writing {}", path));
    }
    open_.bytes = kShardHeaderBytes + 2 * open_.tokens;
    const Result<std::uint64_t> checksum = checksum_of(*file_, open_.bytes, path);
    if (!checksum.ok()) {
        return checksum.error();
    }
    open_.checksum = checksum.value();
    status = file_->sync();
    if (status.ok()) {
        status = file_->close();
    }
    file_.reset();
    if (status.ok()) {
        status = file_system_.rename(path + ".new", path, fs::RenameMode::kReplace);
    }
    if (status.ok()) {
        sealed_.push_back(open_);
    }
    return status;
}

}  // namespace holdfast::data
