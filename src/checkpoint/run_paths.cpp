#include "checkpoint/run_paths.h"

#include <fmt/format.h>

#include "fs/file_system.h"

namespace holdfast::checkpoint {

namespace {

constexpr std::string_view kBackupPrefix = "backup/";

}  // namespace

RunPaths RunPaths::of(const std::string& directory, const std::string& backup_dir) {
    return RunPaths{directory, backup_dir.empty() ? fs::join(directory, "backup") : backup_dir};
}

std::string RunPaths::in_run(std::string_view name) const {
    return fs::join(directory, std::string(name));
}

std::string RunPaths::pool(Pool pool) const {
    if (is_backup(pool)) {
        return fs::join(backup_directory,
                        std::string(to_string(pool).substr(kBackupPrefix.size())));
    }
    return in_run(to_string(pool));
}

std::string RunPaths::pending_root(Pool pool) const {
    return is_backup(pool) ? backup_directory : directory;
}

std::string RunPaths::trash(Pool pool) const {
    return fs::join(pending_root(pool), std::string(kTrashName));
}

std::string RunPaths::quarantine(Pool pool) const {
    return fs::join(pending_root(pool), std::string(kQuarantineName));
}

bool RunPaths::backup_is_inside() const {
    return backup_directory == RunPaths::of(directory).backup_directory;
}

std::string RunPaths::in_quarantine(Pool pool, std::string_view name) {
    return fmt::format("{}{}/{}", is_backup(pool) ? kBackupPrefix : "", kQuarantineName, name);
}

std::string RunPaths::relative(Pool pool, std::string_view name) {
    return fmt::format("{}/{}", to_string(pool), name);
}

}  // namespace holdfast::checkpoint
