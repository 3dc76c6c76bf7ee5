#include "checkpoint/pending_save.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include <fmt/format.h>

#include "base/log.h"
#include "base/words.h"
#include "checkpoint/publish.h"
#include "checkpoint/stream_writer.h"

namespace holdfast::checkpoint {

using base::Error;
using base::ErrorKind;
using base::Result;
using base::Status;

namespace {

enum class Phase { kOpen, kSealed, kPublished, kFailed };

Error invalid(std::string what) {
    return Error{ErrorKind::kInvalid, std::move(what), 0};
}

std::vector<TensorInfo> infos_of(std::span<const TensorSource> tensors) {
    std::vector<TensorInfo> infos;
    infos.reserve(tensors.size());
    for (const TensorSource& tensor : tensors) {
        infos.push_back(tensor.info);
    }
    return infos;
}

}  // namespace

struct PendingSave::State {
    fs::FileSystem& file_system;
    RunPaths paths;
    std::string save_id;
    std::string directory;
    Pool pool_disk;
    TransferBuffers& buffers;
    Phase phase = Phase::kOpen;
    std::vector<FileRecord> files;
    Readback readback = Readback::kDevice;
    Manifest manifest;
    SaveSeconds seconds;

    void add_seconds(const VerifiedFile& file) {
        seconds.write_seconds += file.write_seconds;
        seconds.read_back_seconds += file.read_back_seconds;
    }

    // Removes what was written and passes the error on: the store is as it was.
    Error fail(const Error& error) {
        phase = Phase::kFailed;
        const Status removed = remove_tree(file_system, directory);
        if (!removed.ok()) {
            base::log_warning(
                "{} is left behind and will be removed later: {}", directory, removed.error().what);
        }
        return error.within(fmt::format("saving {}", save_id));
    }

    [[nodiscard]] Status require(Phase wanted, std::string_view call) const {
        return phase == wanted
                   ? Status{}
                   : Status(invalid(fmt::format(
                         "{} of save {} at the wrong time, or after a failure", call, save_id)));
    }
};

PendingSave::PendingSave(std::unique_ptr<State> state) : state_(std::move(state)) {}
PendingSave::PendingSave(PendingSave&&) noexcept = default;
PendingSave& PendingSave::operator=(PendingSave&& other) noexcept {
    // By swap, so that the other's destructor removes what this one held.
    std::swap(state_, other.state_);
    return *this;
}

PendingSave::~PendingSave() {
    if (state_ && (state_->phase == Phase::kOpen || state_->phase == Phase::kSealed)) {
        // A destructor does not report; a leftover is cleared when the run is opened next.
        static_cast<void>(remove_tree(state_->file_system, state_->directory).ok());
    }
}

const std::string& PendingSave::save_id() const {
    return state_->save_id;
}

SaveSeconds PendingSave::seconds() const {
    return state_->seconds;
}

Result<PendingSave> PendingSave::open(fs::FileSystem& file_system,
                                      const RunPaths& paths,
                                      const std::string& save_id,
                                      std::uint64_t bytes_expected,
                                      TransferBuffers& buffers,
                                      Pool pool_disk) {
    if (!is_save_id(save_id)) {
        return invalid(fmt::format("\"{}\" is not a save id", save_id));
    }
    const std::string root = paths.pending_root(pool_disk);
    const Result<fs::SpaceStatus> space = file_system.space(root);
    if (!space.ok()) {
        return space.error();
    }
    if (space.value().available_bytes < bytes_expected + kSpaceMarginBytes) {
        return Error{ErrorKind::kNoSpace,
                     fmt::format("a checkpoint needs {} in {}, {} is free: make room there",
                                 base::bytes_in_words(bytes_expected + kSpaceMarginBytes),
                                 root,
                                 base::bytes_in_words(space.value().available_bytes)),
                     ENOSPC};
    }
    Result<std::string> directory = make_pending_directory(file_system, paths, pool_disk, save_id);
    if (!directory.ok()) {
        return directory.error();
    }
    return PendingSave(std::unique_ptr<State>(new State{.file_system = file_system,
                                                        .paths = paths,
                                                        .save_id = save_id,
                                                        .directory = directory.value(),
                                                        .pool_disk = pool_disk,
                                                        .buffers = buffers,
                                                        .files = {},
                                                        .manifest = {},
                                                        .seconds = {}}));
}

Status PendingSave::add(std::string_view file_name,
                        std::span<const TensorSource> tensors,
                        const SafetensorsMetadata& metadata) {
    if (Status now = state_->require(Phase::kOpen, "add()"); !now.ok()) {
        return now;
    }
    const bool taken = std::any_of(state_->files.begin(),
                                   state_->files.end(),
                                   [&](const FileRecord& file) { return file.name == file_name; });
    if (!is_plain_file_name(file_name) || file_name == kManifestName || taken) {
        return state_->fail(invalid(fmt::format("\"{}\" cannot name a new file", file_name)));
    }
    const std::vector<TensorInfo> infos = infos_of(tensors);
    const Result<std::string> header = build_safetensors_header(infos, metadata);
    if (!header.ok()) {
        return state_->fail(header.error());
    }
    std::uint64_t bytes = header.value().size();
    for (const TensorSource& tensor : tensors) {
        if (tensor_bytes(tensor.info) != tensor.bytes.size()) {
            return state_->fail(
                invalid(fmt::format("tensor {} was given {} bytes, its shape says {}",
                                    tensor.info.name,
                                    tensor.bytes.size(),
                                    tensor_bytes(tensor.info).value_or(0))));
        }
        bytes += tensor.bytes.size();
    }
    Result<VerifiedFile> file = write_verified_file(
        state_->file_system,
        state_->directory,
        std::string(file_name),
        bytes,
        state_->buffers,
        [&](StreamWriter& writer) {
            Status status = writer.append(std::as_bytes(std::span(header.value())));
            for (std::size_t i = 0; status.ok() && i < tensors.size(); ++i) {
                status = writer.append(tensors[i].bytes);
            }
            return status;
        });
    if (!file.ok()) {
        return state_->fail(file.error());
    }
    state_->add_seconds(file.value());
    if (file.value().readback == Readback::kCache) {
        state_->readback = Readback::kCache;
    }
    state_->files.push_back(std::move(file).value().record);
    return Status{};
}

Status PendingSave::seal(Manifest manifest) {
    if (Status now = state_->require(Phase::kOpen, "seal()"); !now.ok()) {
        return now;
    }
    if (manifest.identity.save_id != state_->save_id) {
        return state_->fail(
            invalid(fmt::format("the manifest is of save {}", manifest.identity.save_id)));
    }
    manifest.files = std::move(state_->files);
    manifest.readback = state_->readback;
    const Result<std::string> text = print_manifest(manifest);
    if (!text.ok()) {
        return state_->fail(text.error());
    }
    const Result<VerifiedFile> file =
        write_verified_file(state_->file_system,
                            state_->directory,
                            std::string(kManifestName),
                            text.value().size(),
                            state_->buffers,
                            [&](StreamWriter& writer) {
                                return writer.append(std::as_bytes(std::span(text.value())));
                            });
    if (!file.ok()) {
        return state_->fail(file.error());
    }
    state_->add_seconds(file.value());
    if (const Status synced = state_->file_system.sync_directory(state_->directory); !synced.ok()) {
        return state_->fail(synced.error());
    }
    // As a reader will see it: JSON texts in their stored form.
    state_->manifest = parse_manifest(text.value()).value();
    state_->phase = Phase::kSealed;
    return Status{};
}

Result<PublishedCheckpoint> PendingSave::publish(Pool pool) && {
    if (const Status now = state_->require(Phase::kSealed, "publish()"); !now.ok()) {
        return now.error();
    }
    if (state_->paths.pending_root(pool) != state_->paths.pending_root(state_->pool_disk)) {
        return state_->fail(invalid("the save was opened for the disk of another pool"));
    }
    const Manifest& manifest = state_->manifest;
    const CheckpointName wanted = name_in_pool(pool,
                                               manifest.identity.step,
                                               manifest.cursor.epoch,
                                               manifest.identity.lineage,
                                               manifest.created_utc_seconds);
    const Result<CheckpointName> name =
        publish_directory(state_->file_system, state_->paths, state_->directory, pool, wanted);
    if (!name.ok()) {
        return state_->fail(name.error());
    }
    state_->phase = Phase::kPublished;
    const std::string text = to_string(name.value());
    return PublishedCheckpoint{
        pool, text, fs::join(state_->paths.pool(pool), text), std::move(state_->manifest)};
}

Result<std::uint64_t> tensor_file_bytes(std::span<const TensorInfo> tensors,
                                        const SafetensorsMetadata& metadata) {
    const Result<std::string> header = build_safetensors_header(tensors, metadata);
    if (!header.ok()) {
        return header.error();
    }
    std::uint64_t bytes = header.value().size();
    for (const TensorInfo& tensor : tensors) {
        bytes += tensor_bytes(tensor).value_or(0);
    }
    return bytes;
}

}  // namespace holdfast::checkpoint
