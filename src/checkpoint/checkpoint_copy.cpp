#include "checkpoint/checkpoint_copy.h"

#include <utility>

#include <fmt/format.h>

#include "checkpoint/entry_copy.h"
#include "checkpoint/publish.h"

namespace holdfast::checkpoint {

using base::Error;
using base::ErrorKind;
using base::Result;
using base::Status;

namespace {

Error rotated_away(const std::string& path) {
    return Error{
        ErrorKind::kNotFound, fmt::format("{} was rotated away before it was copied", path), 0};
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
    if (!source.usable()) {
        const bool is_damaged = source.state == EntryState::kDamaged;
        return Error{is_damaged ? ErrorKind::kCorrupt : ErrorKind::kIo,
                     fmt::format("{} {}", source.path, source.why),
                     0};
    }
    const std::string temporary = fs::join(fs::parent_of(path), copying_name(make_save_id()));
    if (const Status made = file_system.make_directory(temporary); !made.ok()) {
        return made.error();
    }
    const Result<Readback> filled =
        copy_entry(file_system, source.path, temporary, source.manifest, buffers, {}, on_bytes);
    const Status placed =
        filled.ok() ? put_in_place(file_system, temporary, path) : Status(filled.error());
    if (!placed.ok()) {
        // Best effort: the error below counts more than a leftover of a known name.
        static_cast<void>(remove_tree(file_system, temporary).ok());
        if (!filled.ok() && filled.error().kind == ErrorKind::kNotFound) {
            return rotated_away(source.path);
        }
        return placed.error().within(fmt::format("copying {}", source.path));
    }
    return CopiedCheckpoint{.path = path,
                            .manifest = source.manifest,
                            .bytes = source.bytes,
                            .readback = filled.value()};
}

}  // namespace holdfast::checkpoint
