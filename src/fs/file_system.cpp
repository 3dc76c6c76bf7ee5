#include "fs/file_system.h"

#include <fmt/format.h>

namespace holdfast::fs {

using base::Error;
using base::ErrorKind;
using base::Result;
using base::Status;

std::string join(const std::string& directory, const std::string& name) {
    if (directory.empty() || (!name.empty() && name.front() == '/')) {
        return name;
    }
    if (name.empty()) {
        return directory;
    }
    return directory.back() == '/' ? directory + name : directory + '/' + name;
}

namespace {

std::string without_trailing_slashes(std::string path) {
    while (path.size() > 1 && path.back() == '/') {
        path.pop_back();
    }
    return path;
}

}  // namespace

std::string parent_of(const std::string& path) {
    const std::string trimmed = without_trailing_slashes(path);
    const std::size_t slash = trimmed.rfind('/');
    if (slash == std::string::npos) {
        return ".";
    }
    return slash == 0 ? "/" : without_trailing_slashes(trimmed.substr(0, slash));
}

std::string name_of(const std::string& path) {
    const std::string trimmed = without_trailing_slashes(path);
    const std::size_t slash = trimmed.rfind('/');
    return slash == std::string::npos ? trimmed : trimmed.substr(slash + 1);
}

Result<bool> exists(FileSystem& file_system, const std::string& path) {
    const Result<FileStatus> status = file_system.status(path);
    if (status.ok()) {
        return true;
    }
    if (status.error().kind == ErrorKind::kNotFound) {
        return false;
    }
    return status.error();
}

Status make_directories(FileSystem& file_system, const std::string& path) {
    const Status made = file_system.make_directory(path);
    if (made.ok()) {
        return made;
    }
    if (made.error().kind == ErrorKind::kExists) {
        // A link to a directory is as good as a directory; only a plain file is in the way.
        const Result<FileStatus> status = file_system.status(path);
        if (status.ok() && status.value().type == EntryType::kFile) {
            return Error{ErrorKind::kExists,
                         fmt::format("{} is a file; a directory of that name is needed", path),
                         0};
        }
        return Status{};
    }
    const std::string parent = parent_of(path);
    if (made.error().kind != ErrorKind::kNotFound || parent == path) {
        return made;
    }
    const Status parent_made = make_directories(file_system, parent);
    if (!parent_made.ok()) {
        return parent_made;
    }
    const Status again = file_system.make_directory(path);
    if (!again.ok() && again.error().kind == ErrorKind::kExists) {
        return Status{};
    }
    return again;
}

}  // namespace holdfast::fs
