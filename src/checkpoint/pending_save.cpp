#include "checkpoint/pending_save.h"

#include <algorithm>
#include <cerrno>
#include <new>
#include <utility>

#include <fmt/format.h>

#include "base/log.h"
#include "base/words.h"
#include "checkpoint/publish.h"
#include "checkpoint/shared_file.h"
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

Error corrupt(std::string what) {
    return Error{ErrorKind::kCorrupt, std::move(what), 0};
}

// The parts in order of rank: all of this save, one of each of the ranks 0 .. n - 1.
Result<std::vector<const PartRecord*>> parts_by_rank(std::span<const PartRecord> parts,
                                                     const std::string& save_id) {
    std::vector<const PartRecord*> by_rank(parts.size(), nullptr);
    for (const PartRecord& part : parts) {
        if (const Status sound = check_part_record(part); !sound.ok()) {
            return sound.error();
        }
        if (part.save_id != save_id) {
            return corrupt(
                fmt::format("rank {} answered with its part of save {}", part.rank, part.save_id));
        }
        if (static_cast<std::uint64_t>(part.rank) >= parts.size()) {
            return corrupt(
                fmt::format("rank {} answered where there are {} parts", part.rank, parts.size()));
        }
        const PartRecord*& place = by_rank[static_cast<std::size_t>(part.rank)];
        if (place != nullptr) {
            return corrupt(fmt::format("rank {} answered twice", part.rank));
        }
        place = &part;
    }
    return by_rank;
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
    std::vector<SharedFile> shared;  // not ended yet
    bool is_adopted = false;
    Readback readback = Readback::kDevice;
    Manifest manifest;
    SaveSeconds seconds;

    void add_seconds(const VerifiedFile& file) {
        seconds.write_seconds += file.write_seconds;
        seconds.read_back_seconds += file.read_back_seconds;
    }

    void note(Readback of_file) {
        readback = of_file == Readback::kCache ? Readback::kCache : readback;
    }

    void take(VerifiedFile file) {
        add_seconds(file);
        note(file.readback);
        files.push_back(std::move(file.record));
    }

    [[nodiscard]] bool is_taken(std::string_view name) const {
        const auto has_name = [&](const FileRecord& file) { return file.name == name; };
        const auto is_it = [&](const SharedFile& file) { return file.name() == name; };
        return std::any_of(files.begin(), files.end(), has_name) ||
               std::any_of(shared.begin(), shared.end(), is_it);
    }

    [[nodiscard]] Status check_new_name(std::string_view name) const {
        return is_data_file_name(name) && !is_taken(name)
                   ? Status{}
                   : Status(invalid(fmt::format("\"{}\" cannot name a new file", name)));
    }

    Status take_shared(std::span<const PartRecord> parts);
    Status take_own(const PartRecord& part);
    [[nodiscard]] Status check_all_named() const;

    // Closed first: a network disk keeps a file that is removed while it is open, and the directory
    // with it.
    Status remove() {
        shared.clear();
        return remove_tree(file_system, directory);
    }

    // Removes what was written and passes the error on: the store is as it was.
    Error fail(const Error& error) {
        phase = Phase::kFailed;
        const Status removed = remove();
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
        // A destructor does not report, nor throw when memory has run out, which is what may have
        // ended the save; a leftover is cleared when the run is opened next.
        try {
            static_cast<void>(state_->remove().ok());
        } catch (const std::bad_alloc&) {
            state_->phase = Phase::kFailed;
        }
    }
}

const std::string& PendingSave::save_id() const {
    return state_->save_id;
}

const std::string& PendingSave::directory() const {
    return state_->directory;
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
                                                        .shared = {},
                                                        .manifest = {},
                                                        .seconds = {}}));
}

Status PendingSave::add(std::string_view file_name,
                        std::span<const TensorSource> tensors,
                        const SafetensorsMetadata& metadata) {
    if (Status now = state_->require(Phase::kOpen, "add()"); !now.ok()) {
        return now;
    }
    if (const Status named = state_->check_new_name(file_name); !named.ok()) {
        return state_->fail(named.error());
    }
    Result<VerifiedFile> file = write_tensor_file(state_->file_system,
                                                  state_->directory,
                                                  file_name,
                                                  tensors,
                                                  metadata,
                                                  HeaderChunk::kWithData,
                                                  state_->buffers);
    if (!file.ok()) {
        return state_->fail(file.error());
    }
    state_->take(std::move(file).value());
    return Status{};
}

Result<SafetensorsHeader> PendingSave::create_shared(std::string_view file_name,
                                                     std::span<const TensorInfo> tensors,
                                                     const SafetensorsMetadata& metadata) {
    if (const Status now = state_->require(Phase::kOpen, "create_shared()"); !now.ok()) {
        return now.error();
    }
    if (const Status named = state_->check_new_name(file_name); !named.ok() || state_->is_adopted) {
        return state_->fail(named.ok() ? invalid("create_shared() after adopt()") : named.error());
    }
    Result<SharedFile> file = SharedFile::create(
        state_->file_system, state_->directory, std::string(file_name), tensors, metadata);
    if (!file.ok()) {
        return state_->fail(file.error());
    }
    state_->shared.push_back(std::move(file).value());
    return state_->shared.back().layout();
}

Status PendingSave::adopt(std::span<const PartRecord> parts) {
    if (Status now = state_->require(Phase::kOpen, "adopt()"); !now.ok()) {
        return now;
    }
    if (std::exchange(state_->is_adopted, true)) {
        return state_->fail(invalid("adopt() twice"));
    }
    const Result<std::vector<const PartRecord*>> by_rank = parts_by_rank(parts, state_->save_id);
    if (!by_rank.ok()) {
        return state_->fail(by_rank.error());
    }
    Status taken = state_->take_shared(parts);
    for (std::size_t i = 0; taken.ok() && i < by_rank.value().size(); ++i) {
        taken = state_->take_own(*by_rank.value()[i]);
    }
    return taken.ok() ? taken : Status(state_->fail(taken.error()));
}

Status PendingSave::State::take_shared(std::span<const PartRecord> parts) {
    for (const PartRecord& part : parts) {
        for (const PieceRecord& piece : part.pieces) {
            const bool is_shared = std::any_of(shared.begin(), shared.end(), [&](const auto& file) {
                return file.name() == piece.file_name;
            });
            if (!is_shared) {
                return corrupt(fmt::format("rank {} wrote pieces of {}, which no rank was to share",
                                           part.rank,
                                           piece.file_name));
            }
        }
    }
    for (SharedFile& file : shared) {
        Result<VerifiedFile> ended = file.end(parts, buffers);
        if (!ended.ok()) {
            return ended.error();
        }
        take(std::move(ended).value());
    }
    shared.clear();
    return Status{};
}

Status PendingSave::State::take_own(const PartRecord& part) {
    note(part.readback);
    for (const FileRecord& file : part.files) {
        if (!is_data_file_name(file.name) || is_taken(file.name)) {
            return corrupt(fmt::format(
                "rank {} wrote \"{}\", which is no name or another's", part.rank, file.name));
        }
        const Result<fs::FileStatus> status = file_system.status(fs::join(directory, file.name));
        if (!status.ok() && status.error().kind != ErrorKind::kNotFound) {
            return status.error();
        }
        if (!status.ok() || status.value().type != fs::EntryType::kFile ||
            status.value().bytes != file.bytes) {
            return corrupt(fmt::format(
                "rank {} wrote {} bytes of {}, the disk has {}",
                part.rank,
                file.bytes,
                file.name,
                status.ok() ? fmt::format("{}", status.value().bytes) : "no such file"));
        }
        files.push_back(file);
    }
    return Status{};
}

// A file that the manifest does not list would make the entry damaged once it is published.
Status PendingSave::State::check_all_named() const {
    const Result<std::vector<std::string>> names = file_system.list(directory);
    if (!names.ok()) {
        return names.error();
    }
    for (const std::string& name : names.value()) {
        // Hidden ones are left by network file systems, never by us; readers pass over them.
        if (!name.starts_with('.') && !is_taken(name)) {
            return corrupt(fmt::format("{} holds {}, which nobody wrote", directory, name));
        }
    }
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
    if (!state_->shared.empty()) {
        return state_->fail(invalid("seal() before adopt() took the shared files"));
    }
    if (const Status named = state_->check_all_named(); !named.ok()) {
        return state_->fail(named.error());
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

}  // namespace holdfast::checkpoint
