#include "sync_site.h"

#include <algorithm>
#include <string_view>

namespace holdfast::checkpoint {

using fs::DiskOperation;
using Kind = DiskOperation::Kind;

namespace {

std::string file_site(const RecordedAct& act, std::size_t operation) {
    const DiskOperation& sync = act.operations[operation];
    const std::string name = fs::name_of(sync.path);
    if (name == kManifestName) {
        return "manifest";
    }
    if (name.ends_with(".safetensors")) {
        // Several ranks wait for a file that they share, each for itself.
        const auto same = [&](const DiskOperation& other) {
            return other.kind == Kind::kSyncFile && other.inode == sync.inode;
        };
        const auto waits = std::count_if(act.operations.begin(), act.operations.end(), same);
        return waits > 1 ? "shared tensor file" : "tensor file";
    }
    if (name.starts_with("run.json")) {
        return "run.json";
    }
    if (name != kLogName) {
        return "log tail";
    }
    for (std::size_t i = operation; i-- > 0;) {
        if (act.operations[i].inode == sync.inode) {
            return act.operations[i].kind == Kind::kResize ? "log cut" : "log";
        }
    }
    return "log";
}

// The rename, or the new directory, whose name is being made durable.
std::string directory_site(const RecordedAct& act, std::size_t operation) {
    const std::string& path = act.operations[operation].path;
    if (parse_pending_name(fs::name_of(path))) {
        return "pending directory";
    }
    const DiskOperation* change = nullptr;
    for (std::size_t i = operation; i-- > 0 && change == nullptr;) {
        const bool counts = act.operations[i].kind == Kind::kRename ||
                            act.operations[i].type == fs::EntryType::kDirectory;
        change = counts && !act.operations[i].is_sync() ? &act.operations[i] : nullptr;
    }
    // Opening a run waits for its folders also when it made none: who made them may have died
    // first.
    if (change == nullptr || change->kind == Kind::kMake) {
        return path == kRunPath ? "folders of the run"
                                : (path == "/" ? "name of the run" : "folders of the backup");
    }
    const bool is_new_parent = fs::parent_of(change->path) == path;
    const std::string name = fs::name_of(change->path);
    if (parse_pending_name(fs::name_of(change->path_from))) {
        return is_new_parent ? "pool after publishing" : "pending root after publishing";
    }
    if (fs::name_of(fs::parent_of(change->path)) == kTrashName) {
        return is_new_parent ? "trash after deleting" : "pool after deleting";
    }
    if (fs::name_of(fs::parent_of(change->path)) == kQuarantineName) {
        return is_new_parent ? "quarantine" : "pool after quarantine";
    }
    if (name == kLatestName || name == kRunFileName) {
        return "name of " + name;
    }
    return "name of the log tail";
}

}  // namespace

std::string sync_site(const RecordedAct& act, std::size_t operation) {
    const DiskOperation& candidate = act.operations[operation];
    if (!candidate.is_sync()) {
        return "";
    }
    const std::string site = candidate.kind == Kind::kSyncFile ? file_site(act, operation)
                                                               : directory_site(act, operation);
    const bool is_backup =
        candidate.path.starts_with(kRunPath + "/backup/") ||
        (site == "pending root after publishing" && candidate.path == kRunPath + "/backup");
    return is_backup ? "backup " + site : site;
}

}  // namespace holdfast::checkpoint
