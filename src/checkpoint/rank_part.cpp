#include "checkpoint/rank_part.h"

#include <algorithm>
#include <iterator>
#include <vector>

#include <fmt/format.h>

#include "checkpoint/checkpoint_name.h"

namespace holdfast::checkpoint {

using base::Error;
using base::ErrorKind;
using base::Result;
using base::Status;

namespace {

Error invalid(std::string what) {
    return Error{ErrorKind::kInvalid, std::move(what), 0};
}

}  // namespace

Result<RankPart> RankPart::join(fs::FileSystem& file_system,
                                const std::string& pending_directory,
                                std::int64_t rank,
                                TransferBuffers& buffers) {
    const auto save_id = parse_pending_name(fs::name_of(pending_directory));
    if (!save_id || rank < 0 || rank > kRankMax) {
        return invalid(
            fmt::format("rank {} cannot join a save in {}: it is no pending directory, or no rank",
                        rank,
                        pending_directory));
    }
    const Result<fs::FileStatus> there = file_system.status(pending_directory);
    if (!there.ok()) {
        return there.error().within(fmt::format("the part of rank {} in save {}", rank, *save_id));
    }
    if (there.value().type != fs::EntryType::kDirectory) {
        return invalid(fmt::format("{} is not a directory", pending_directory));
    }
    RankPart part(file_system, pending_directory, buffers);
    part.record_.save_id = *save_id;
    part.record_.rank = rank;
    // Until a file says otherwise.
    part.record_.readback = Readback::kDevice;
    return part;
}

Status RankPart::require_open(std::string_view call) const {
    return is_open_ ? Status{}
                    : Status(invalid(fmt::format(
                          "{} of the part of rank {} in save {} after it ended, or after a failure",
                          call,
                          record_.rank,
                          record_.save_id)));
}

Error RankPart::fail(const Error& error) {
    is_open_ = false;
    return error.within(
        fmt::format("the part of rank {} in save {}", record_.rank, record_.save_id));
}

void RankPart::note(Readback readback) {
    record_.readback = readback == Readback::kCache ? Readback::kCache : record_.readback;
}

Status RankPart::write_pieces(std::string_view file_name, std::span<const PieceSource> pieces) {
    if (Status now = require_open("write_pieces()"); !now.ok()) {
        return now;
    }
    const bool is_written =
        std::any_of(record_.pieces.begin(), record_.pieces.end(), [&](const PieceRecord& piece) {
            return piece.file_name == file_name;
        });
    if (!is_data_file_name(file_name) || is_written) {
        return fail(invalid(
            fmt::format("\"{}\" cannot name a shared file, or its pieces are written", file_name)));
    }
    const bool is_empty = std::all_of(
        pieces.begin(), pieces.end(), [](const PieceSource& piece) { return piece.bytes.empty(); });
    if (is_empty) {
        return Status{};
    }
    Result<VerifiedPieces> written = write_verified_pieces(*file_system_,
                                                           directory_,
                                                           std::string(file_name),
                                                           {pieces.begin(), pieces.end()},
                                                           *buffers_);
    if (!written.ok()) {
        return fail(written.error());
    }
    VerifiedPieces verified = std::move(written).value();
    note(verified.readback);
    seconds_.write_seconds += verified.seconds.write_seconds;
    seconds_.read_back_seconds += verified.seconds.read_back_seconds;
    std::move(verified.pieces.begin(), verified.pieces.end(), std::back_inserter(record_.pieces));
    return Status{};
}

Status RankPart::add(std::string_view file_name,
                     std::span<const TensorSource> tensors,
                     const SafetensorsMetadata& metadata) {
    if (Status now = require_open("add()"); !now.ok()) {
        return now;
    }
    if (!is_data_file_name(file_name)) {
        return fail(invalid(fmt::format("\"{}\" cannot name a new file", file_name)));
    }
    Result<VerifiedFile> written = write_tensor_file(
        *file_system_, directory_, file_name, tensors, metadata, HeaderChunk::kOwn, *buffers_);
    if (!written.ok()) {
        return fail(written.error());
    }
    VerifiedFile file = std::move(written).value();
    note(file.readback);
    seconds_.write_seconds += file.write_seconds;
    seconds_.read_back_seconds += file.read_back_seconds;
    record_.files.push_back(std::move(file.record));
    return Status{};
}

Result<PartRecord> RankPart::finish() {
    if (const Status now = require_open("finish()"); !now.ok()) {
        return now.error();
    }
    // On one machine the sync that the publishing rank makes would do; a network disk keeps names
    // that this machine made until this machine waits for them.
    if (const Status synced = file_system_->sync_directory(directory_); !synced.ok()) {
        return fail(synced.error());
    }
    is_open_ = false;
    return record_;
}

}  // namespace holdfast::checkpoint
