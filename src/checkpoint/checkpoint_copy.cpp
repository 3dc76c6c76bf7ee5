#include "checkpoint/checkpoint_copy.h"

#include <cerrno>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/words.h"
#include "checkpoint/chunk_file.h"
#include "checkpoint/pending_save.h"
#include "checkpoint/publish.h"
#include "checkpoint/stream_writer.h"
#include "fs/durable_write.h"

namespace holdfast::checkpoint {

using base::Error;
using base::ErrorKind;
using base::Result;
using base::Status;

namespace {

// Everything of the source, held open: it may be rotated away from here on.
struct OpenSource {
    Manifest manifest;
    std::string manifest_text;
    std::vector<ChunkFile> files;  // as manifest.files
};

Error rotated_away(const std::string& path) {
    return Error{
        ErrorKind::kNotFound, fmt::format("{} was rotated away while it was opened", path), 0};
}

Result<OpenSource> open_source(fs::FileSystem& file_system, const std::string& path) {
    // The scan says what is missing or too long better than a failing open would.
    Result<Entry> entry = scan_entry(file_system, path, Pool::kRolling, {});
    if (!entry.ok()) {
        return entry.error();
    }
    if (!entry.value().usable()) {
        const bool damaged = entry.value().state == EntryState::kDamaged;
        return Error{damaged ? ErrorKind::kCorrupt : ErrorKind::kIo,
                     fmt::format("{} {}", path, entry.value().why),
                     0};
    }
    OpenSource source;
    Result<std::string> text =
        fs::read_file(file_system, fs::join(path, std::string(kManifestName)), kManifestBytesMax);
    if (!text.ok()) {
        return text.error().kind == ErrorKind::kNotFound ? rotated_away(path) : text.error();
    }
    Result<Manifest> manifest = parse_manifest(text.value());
    if (!manifest.ok()) {
        return manifest.error().within(path);
    }
    source.manifest = std::move(manifest).value();
    source.manifest_text = std::move(text).value();
    for (const FileRecord& record : source.manifest.files) {
        Result<ChunkFile> file =
            ChunkFile::open(file_system, fs::join(path, record.name), /*from_device=*/false);
        if (!file.ok()) {
            return file.error().kind == ErrorKind::kNotFound ? rotated_away(path) : file.error();
        }
        source.files.push_back(std::move(file).value());
    }
    return source;
}

Status check_space(fs::FileSystem& file_system,
                   const std::string& directory,
                   std::uint64_t bytes_needed) {
    const Result<fs::SpaceStatus> space = file_system.space(directory);
    if (!space.ok()) {
        return space.error();
    }
    if (space.value().available_bytes >= bytes_needed) {
        return Status{};
    }
    return Error{ErrorKind::kNoSpace,
                 fmt::format("the copy needs {} in {}, {} is free",
                             base::bytes_in_words(bytes_needed),
                             directory,
                             base::bytes_in_words(space.value().available_bytes)),
                 ENOSPC};
}

// Writes all files into `directory` and syncs it; answers how the copy was read back.
Result<Readback> fill(fs::FileSystem& file_system,
                      const OpenSource& source,
                      const std::string& directory,
                      TransferBuffers& buffers,
                      const std::function<void(std::uint64_t)>& on_bytes) {
    Readback readback = Readback::kDevice;
    const auto write = [&](const std::string& name,
                           std::uint64_t bytes,
                           const std::function<Status(StreamWriter&)>& produce) {
        const Result<VerifiedFile> file =
            write_verified_file(file_system, directory, name, bytes, buffers, produce);
        if (file.ok() && file.value().readback == Readback::kCache) {
            readback = Readback::kCache;
        }
        return file.ok() ? Status{} : Status(file.error());
    };
    const AlignedBuffer buffer(TransferBuffers::kBufferBytes);
    for (std::size_t i = 0; i < source.files.size(); ++i) {
        const FileRecord& record = source.manifest.files[i];
        const auto produce = [&](StreamWriter& writer) {
            std::uint64_t offset = 0;
            for (const ChunkRecord& chunk : record.chunks) {
                const auto bytes = source.files[i].read_verified(offset, chunk, buffer.bytes());
                if (!bytes.ok()) {
                    return Status(bytes.error());
                }
                if (Status written = writer.append(bytes.value()); !written.ok()) {
                    return written;
                }
                offset += chunk.bytes;
            }
            return Status{};
        };
        if (const Status written = write(record.name, record.bytes, produce); !written.ok()) {
            return written.error();
        }
        if (on_bytes) {
            on_bytes(record.bytes);
        }
    }
    const auto manifest_bytes = std::as_bytes(std::span(source.manifest_text));
    if (const Status written =
            write(std::string(kManifestName),
                  manifest_bytes.size(),
                  [&](StreamWriter& writer) { return writer.append(manifest_bytes); });
        !written.ok()) {
        return written.error();
    }
    if (const Status synced = file_system.sync_directory(directory); !synced.ok()) {
        return synced.error();
    }
    return readback;
}

// The rename that makes the copy exist; when it cannot be made durable it is taken back.
Status put_in_place(fs::FileSystem& file_system, const std::string& from, const std::string& path) {
    Status placed = file_system.rename(from, path, fs::RenameMode::kNoReplace);
    if (!placed.ok()) {
        return placed;
    }
    placed = file_system.sync_directory(fs::parent_of(path));
    if (!placed.ok()) {
        const Status back = file_system.rename(path, from, fs::RenameMode::kNoReplace);
        return placed.error().within(back.ok() ? "copying"
                                               : fmt::format("copying ({} stays)", path));
    }
    return placed;
}

// By its name and a run.json above it; second copies lie one folder deeper.
bool is_pool_of_a_run(fs::FileSystem& file_system, const std::string& folder) {
    const std::string above = fs::parent_of(folder);
    for (const std::string& root : {above, fs::parent_of(above)}) {
        const Result<bool> is_run =
            fs::exists(file_system, fs::join(root, std::string(kRunFileName)));
        if (parse_pool(fs::name_of(folder)) && is_run.ok() && is_run.value()) {
            return true;
        }
    }
    return false;
}

}  // namespace

Result<std::string> copy_target(fs::FileSystem& file_system,
                                const std::string& target,
                                const std::string& name) {
    std::string path = target;
    while (path.size() > 1 && path.back() == '/') {
        path.pop_back();
    }
    // By what is in it, since a directory may be given as a symlink.
    if (file_system.list(path).ok()) {
        const Result<bool> is_entry =
            fs::exists(file_system, fs::join(path, std::string(kManifestName)));
        if (is_entry.ok() && is_entry.value()) {
            return Error{ErrorKind::kExists,
                         fmt::format("{} is a checkpoint itself: give a new name, or a directory "
                                     "to copy into",
                                     path),
                         0};
        }
        path = fs::join(path, name);
    }
    const Result<bool> taken = fs::exists(file_system, path);
    if (!taken.ok()) {
        return taken.error();
    }
    if (taken.value()) {
        return Error{ErrorKind::kExists,
                     fmt::format("{} is there already: give another name, or remove it", path),
                     0};
    }
    const std::string folder = fs::parent_of(path);
    if (const auto names = file_system.list(folder); !names.ok()) {
        return names.error().within("the copy's parent directory");
    }
    if (is_pool_of_a_run(file_system, folder)) {
        return Error{ErrorKind::kInvalid,
                     fmt::format("{} is a pool of a run, whose trainer deletes from it: copy "
                                 "elsewhere and go on from there with `train --resume PATH`",
                                 folder),
                     0};
    }
    return path;
}

Result<CopiedCheckpoint> copy_checkpoint(fs::FileSystem& file_system,
                                         const Entry& source,
                                         const std::string& path,
                                         TransferBuffers& buffers,
                                         const std::function<void(std::uint64_t)>& on_bytes) {
    Result<OpenSource> opened = open_source(file_system, source.path);
    if (!opened.ok()) {
        return opened.error();
    }
    const std::string folder = fs::parent_of(path);
    const std::uint64_t bytes =
        opened.value().manifest.files_bytes() + opened.value().manifest_text.size();
    if (const Status room = check_space(file_system, folder, bytes + kSpaceMarginBytes);
        !room.ok()) {
        return room.error();
    }
    const std::string temporary = fs::join(folder, copying_name(make_save_id()));
    if (const Status made = file_system.make_directory(temporary); !made.ok()) {
        return made.error();
    }
    const Result<Readback> filled = fill(file_system, opened.value(), temporary, buffers, on_bytes);
    const Status placed =
        filled.ok() ? put_in_place(file_system, temporary, path) : Status(filled.error());
    if (!placed.ok()) {
        // Best effort: the error below counts more than a leftover of a known name.
        static_cast<void>(remove_tree(file_system, temporary).ok());
        return placed.error().within(fmt::format("copying {}", source.path));
    }
    return CopiedCheckpoint{.path = path,
                            .manifest = std::move(opened.value().manifest),
                            .bytes = bytes,
                            .readback = filled.value()};
}

}  // namespace holdfast::checkpoint
