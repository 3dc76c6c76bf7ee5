#include "data/preparing_folder.h"

#include <algorithm>
#include <new>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/log.h"
#include "data/dataset_sidecar.h"

namespace holdfast::data {

using base::Error;
using base::ErrorKind;
using base::Result;
using base::Status;

namespace {

constexpr std::string_view kLockName = "lock";

// "train_" or "val_", digits, ".bin".
bool is_shard_name(std::string_view name) {
    for (const std::string_view prefix : {"train_", "val_"}) {
        if (name.starts_with(prefix) && name.ends_with(".bin")) {
            const std::string_view digits =
                name.substr(prefix.size(), name.size() - prefix.size() - 4);
            return !digits.empty() && std::ranges::all_of(digits, [](char digit) {
                return digit >= '0' && digit <= '9';
            });
        }
    }
    return false;
}

Status remove_dataset_files(fs::FileSystem& file_system, const std::string& folder) {
    const auto names = file_system.list(folder);
    if (!names.ok()) {
        return names.error();
    }
    for (const std::string& name : names.value()) {
        if (name == kLockName) {
            continue;
        }
        if (!is_dataset_file(name)) {
            return Error{
                ErrorKind::kExists,
                fmt::format("{} is not a file of a dataset; move it away", fs::join(folder, name)),
                0};
        }
        const Status removed = file_system.remove_file(fs::join(folder, name));
        if (!removed.ok()) {
            return removed;
        }
    }
    return {};
}

Status remove_dataset(fs::FileSystem& file_system, const std::string& folder) {
    const Status removed = remove_dataset_files(file_system, folder);
    return removed.ok() ? file_system.remove_directory(folder) : removed;
}

}  // namespace

bool is_dataset_file(const std::string& name) {
    std::string_view plain = name;
    if (plain.ends_with(".new")) {
        plain.remove_suffix(4);
    }
    return plain == kSidecarName || is_shard_name(plain);
}

Result<bool> holds_dataset_files(fs::FileSystem& file_system, const std::string& out_dir) {
    const auto status = file_system.status(out_dir);
    if (!status.ok()) {
        return status.error().kind == ErrorKind::kNotFound ? Result<bool>(false) : status.error();
    }
    if (status.value().type != fs::EntryType::kDirectory) {
        return Error{
            ErrorKind::kInvalid,
            fmt::format("{} is {}; give a folder that may be made or replaced",
                        out_dir,
                        status.value().type == fs::EntryType::kSymlink ? "a link" : "not a folder"),
            0};
    }
    const auto names = file_system.list(out_dir);
    if (!names.ok()) {
        return names.error();
    }
    for (const std::string& name : names.value()) {
        if (!is_dataset_file(name)) {
            return Error{ErrorKind::kExists,
                         fmt::format("{} holds {}, which is not part of a dataset; give a folder "
                                     "of its own",
                                     out_dir,
                                     name),
                         0};
        }
    }
    return !names.value().empty();
}

PreparingFolder::PreparingFolder(fs::FileSystem& file_system,
                                 std::string out_dir,
                                 std::unique_ptr<fs::File> lock)
    : file_system_(&file_system),
      out_dir_(std::move(out_dir)),
      path_(out_dir_ + ".preparing"),
      lock_(std::move(lock)) {}

PreparingFolder::~PreparingFolder() {
    if (lock_ == nullptr) {
        return;
    }
    // Best effort, also without memory: what stays is cleared by the next claim().
    try {
        if (remove_dataset_files(*file_system_, path_).ok() &&
            file_system_->remove_file(fs::join(path_, std::string(kLockName))).ok()) {
            static_cast<void>(file_system_->remove_directory(path_).ok());
        }
    } catch (const std::bad_alloc&) {
        return;
    }
}

Result<PreparingFolder> PreparingFolder::claim(fs::FileSystem& file_system,
                                               const std::string& out_dir) {
    const std::string path = out_dir + ".preparing";
    const Status made = fs::make_directories(file_system, path);
    if (!made.ok()) {
        return made.error();
    }
    const std::string lock_path = fs::join(path, std::string(kLockName));
    auto lock = file_system.open(lock_path, {.mode = fs::OpenMode::kOpenOrCreate});
    if (!lock.ok()) {
        return lock.error();
    }
    const Error busy{
        ErrorKind::kBusy,
        fmt::format("another process is preparing {}; wait for it or stop it", out_dir),
        0};
    const Status locked = lock.value()->lock_exclusive();
    if (!locked.ok()) {
        return locked.error().kind == ErrorKind::kBusy ? busy : locked.error();
    }
    // The holder before us may have published meanwhile: then the lock is of a file that is gone.
    const auto held = lock.value()->status();
    const auto named = file_system.status(lock_path);
    if (!held.ok() || !named.ok() || held.value().inode != named.value().inode) {
        return busy;
    }
    PreparingFolder folder(file_system, out_dir, std::move(lock).value());
    Status ready = remove_dataset_files(file_system, path);
    if (ready.ok()) {
        ready = folder.put_back_replaced();
    }
    if (!ready.ok()) {
        return ready.error();
    }
    return folder;
}

Status PreparingFolder::put_back_replaced() {
    const std::string replaced = out_dir_ + ".replaced";
    const Result<bool> has_replaced = fs::exists(*file_system_, replaced);
    if (!has_replaced.ok() || !has_replaced.value()) {
        return has_replaced.ok() ? Status{} : Status(has_replaced.error());
    }
    const Result<bool> has_out = fs::exists(*file_system_, out_dir_);
    if (!has_out.ok()) {
        return has_out.error();
    }
    return has_out.value() ? remove_dataset(*file_system_, replaced)
                           : file_system_->rename(replaced, out_dir_, fs::RenameMode::kNoReplace);
}

Status PreparingFolder::publish() {
    const std::string parent = fs::parent_of(out_dir_);
    const std::string replaced = out_dir_ + ".replaced";
    const Result<bool> replaces = holds_dataset_files(*file_system_, out_dir_);
    if (!replaces.ok()) {
        return replaces.error();
    }
    Status status = file_system_->remove_file(fs::join(path_, std::string(kLockName)));
    if (status.ok()) {
        status = file_system_->sync_directory(path_);
    }
    if (status.ok() && replaces.value()) {
        status = file_system_->rename(out_dir_, replaced, fs::RenameMode::kNoReplace);
    }
    if (!status.ok()) {
        return status;
    }
    // rename(2) puts a folder in the place of none or of an empty one, never of a full one.
    status = file_system_->rename(path_, out_dir_, fs::RenameMode::kReplace);
    if (!status.ok()) {
        if (replaces.value()) {
            static_cast<void>(
                file_system_->rename(replaced, out_dir_, fs::RenameMode::kNoReplace).ok());
        }
        return status;
    }
    lock_.reset();
    status = file_system_->sync_directory(parent);
    if (status.ok() && replaces.value()) {
        const Status removed = remove_dataset(*file_system_, replaced);
        if (!removed.ok()) {
            base::log_warning("the old dataset stays in {}: {}", replaced, removed.error().what);
        }
    }
    return status;
}

}  // namespace holdfast::data
