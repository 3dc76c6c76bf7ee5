#include "checkpoint/store_usage.h"

#include <map>
#include <utility>

namespace holdfast::checkpoint {

using base::ErrorKind;
using base::Result;
using base::Status;

namespace {

using FileId = std::pair<std::uint64_t, std::uint64_t>;  // device, inode

struct Names {
    std::uint64_t seen = 0;
    StoredFile file;
};

// How many names of each file are in `items`.
std::map<FileId, Names> names_by_file(std::span<const StoredItem> items) {
    std::map<FileId, Names> by_file;
    for (const StoredItem& item : items) {
        for (const StoredFile& file : item.files) {
            Names& names = by_file[FileId(file.device, file.inode)];
            ++names.seen;
            names.file = file;
        }
    }
    return by_file;
}

Status add_files(fs::FileSystem& file_system,
                 const std::string& path,
                 std::vector<StoredFile>& files) {
    const Result<fs::FileStatus> status = file_system.status(path);
    if (!status.ok()) {
        return status.error().kind == ErrorKind::kNotFound ? Status{} : Status(status.error());
    }
    const fs::FileStatus& there = status.value();
    if (there.type == fs::EntryType::kFile) {
        files.push_back({there.device, there.inode, there.allocated_bytes, there.link_count});
    }
    if (there.type != fs::EntryType::kDirectory) {
        return Status{};
    }
    const Result<std::vector<std::string>> names = file_system.list(path);
    if (!names.ok()) {
        return names.error().kind == ErrorKind::kNotFound ? Status{} : Status(names.error());
    }
    for (const std::string& name : names.value()) {
        if (Status added = add_files(file_system, fs::join(path, name), files); !added.ok()) {
            return added;
        }
    }
    return Status{};
}

class ItemCollector {
public:
    explicit ItemCollector(fs::FileSystem& file_system) : file_system_(file_system) {}

    Status add(StoredKind kind, std::string label, std::string path) {
        Result<std::vector<StoredFile>> files = files_under(file_system_, path);
        if (!files.ok()) {
            return files.error();
        }
        items_.push_back({kind, std::move(label), std::move(path), std::move(files).value()});
        return Status{};
    }

    // Every name in `folder` that `is_wanted`; none when there is no such folder.
    template <typename IsWanted>
    Status add_folder(StoredKind kind,
                      const std::string& folder,
                      const std::string& label_prefix,
                      IsWanted is_wanted) {
        const Result<std::vector<std::string>> names = file_system_.list(folder);
        if (!names.ok()) {
            return names.error().kind == ErrorKind::kNotFound ? Status{} : Status(names.error());
        }
        for (const std::string& name : names.value()) {
            if (is_wanted(name)) {
                if (Status added = add(kind, label_prefix + name, fs::join(folder, name));
                    !added.ok()) {
                    return added;
                }
            }
        }
        return Status{};
    }

    [[nodiscard]] std::vector<StoredItem> take() { return std::move(items_); }

private:
    fs::FileSystem& file_system_;
    std::vector<StoredItem> items_;
};

// Trash, pending saves and temporaries of one side.
Status add_leftovers(ItemCollector& collector, const RunPaths& paths, Pool side) {
    const std::string prefix = is_backup(side) ? std::string(kBackupName) + '/' : "";
    const std::string root = paths.pending_root(side);
    Status status = collector.add_folder(StoredKind::kTrash,
                                         paths.trash(side),
                                         prefix + std::string(kTrashName) + '/',
                                         [](const std::string&) { return true; });
    if (status.ok()) {
        status =
            collector.add_folder(StoredKind::kPending, root, prefix, [](const std::string& name) {
                return parse_pending_name(name).has_value();
            });
    }
    if (status.ok()) {
        status = collector.add_folder(StoredKind::kTemporary, root, prefix, is_temporary_name);
    }
    return status;
}

}  // namespace

std::uint64_t StoredItem::disk_bytes() const {
    return disk_bytes_of(std::span(this, 1));
}

Result<std::vector<StoredFile>> files_under(fs::FileSystem& file_system, const std::string& path) {
    std::vector<StoredFile> files;
    if (const Status added = add_files(file_system, path, files); !added.ok()) {
        return added.error();
    }
    return files;
}

Result<std::vector<StoredItem>> stored_items(fs::FileSystem& file_system,
                                             const RunPaths& paths,
                                             const Catalog& catalog) {
    ItemCollector collector(file_system);
    Status status;
    for (const Entry& entry : catalog.entries) {
        if (status.ok()) {
            status = collector.add(StoredKind::kEntry, entry.label(), entry.path);
        }
    }
    for (const Pool side : {Pool::kRolling, Pool::kBackupRolling}) {
        if (status.ok()) {
            status = collector.add_folder(StoredKind::kQuarantine,
                                          paths.quarantine(side),
                                          RunPaths::in_quarantine(side, ""),
                                          is_quarantine_name);
        }
    }
    if (status.ok()) {
        status = add_leftovers(collector, paths, Pool::kRolling);
    }
    // On a disk of its own a copy may be under way whatever lock this run has.
    if (status.ok() && paths.backup_is_inside()) {
        status = add_leftovers(collector, paths, Pool::kBackupRolling);
    }
    if (!status.ok()) {
        return status.error();
    }
    return collector.take();
}

namespace {

bool is_name_of_a_run(const std::string& name) {
    return name == kRunFileName || name == kLatestName || name == kLockName ||
           name == kQuarantineName || name == kTensorboardName || name == kTrashName ||
           name == kBackupName || name.starts_with("metrics.") || is_temporary_name(name) ||
           parse_pending_name(name) || parse_pool(name);
}

}  // namespace

std::vector<std::string> unknown_names(fs::FileSystem& file_system, const RunPaths& paths) {
    std::vector<std::string> unknown;
    const auto look = [&](const std::string& folder, const std::string& prefix, auto is_known) {
        const Result<std::vector<std::string>> names = file_system.list(folder);
        for (const std::string& name : names.ok() ? names.value() : std::vector<std::string>{}) {
            if (!is_known(name)) {
                unknown.push_back(prefix + name);
            }
        }
    };
    look(paths.directory, "", is_name_of_a_run);
    for (const Pool side : {Pool::kRolling, Pool::kBackupRolling}) {
        look(paths.quarantine(side), RunPaths::in_quarantine(side, ""), is_quarantine_name);
    }
    for (const Pool pool : kAllPools) {
        look(paths.pool(pool), std::string(to_string(pool)) + '/', [](const std::string& name) {
            return parse_checkpoint_name(name).has_value();
        });
    }
    return unknown;
}

std::uint64_t disk_bytes_of(std::span<const StoredItem> items) {
    std::uint64_t bytes = 0;
    for (const auto& [id, names] : names_by_file(items)) {
        bytes += names.file.disk_bytes;
    }
    return bytes;
}

std::uint64_t freed_bytes_of(std::span<const StoredItem> items) {
    std::uint64_t bytes = 0;
    for (const auto& [id, names] : names_by_file(items)) {
        bytes += names.seen >= names.file.link_count ? names.file.disk_bytes : 0;
    }
    return bytes;
}

}  // namespace holdfast::checkpoint
