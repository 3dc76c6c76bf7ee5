#include "fs/simulated_file_system.h"

#include <algorithm>
#include <cerrno>
#include <span>

#include <fmt/format.h>

#include "fs/simulated_file.h"

namespace holdfast::fs {

using base::Error;
using base::error_from_errno;
using base::ErrorKind;
using base::Result;
using base::Status;
using Kind = DiskOperation::Kind;

namespace {

constexpr int kSymlinksMax = 40;

}  // namespace

SimulatedFileSystem::SimulatedFileSystem(DiskImage image) : image_(std::move(image)) {
    name_counts_ = image_.name_counts();
}

DiskImage SimulatedFileSystem::image() const {
    const std::scoped_lock lock(mutex_);
    return image_;
}

void SimulatedFileSystem::damage(const std::string& path, std::uint64_t offset) {
    const std::scoped_lock lock(mutex_);
    DiskInode& inode = image_.change(resolve(path, true).inode);
    inode.bytes.at(offset) = static_cast<char>(inode.bytes.at(offset) ^ 1);
    inode.bytes_digest.reset();
}

bool SimulatedFileSystem::is_directory(InodeNumber number) const {
    const DiskInode* inode = image_.find(number);
    return inode != nullptr && inode->type == EntryType::kDirectory;
}

SimulatedFileSystem::Place SimulatedFileSystem::resolve(const std::string& path,
                                                        bool follow_last) const {
    return path.empty() ? Place{.name = {}, .os_errno = ENOENT}
                        : resolve_from(kRootInode, path, follow_last, kSymlinksMax);
}

SimulatedFileSystem::Place SimulatedFileSystem::resolve_from(InodeNumber directory,
                                                             const std::string& path,
                                                             bool follow_last,
                                                             int links_left) const {
    Place place{.directory = directory, .name = {}, .inode = directory};
    if (path.front() == '/') {
        place.directory = place.inode = kRootInode;
    }
    for (std::size_t begin = path.find_first_not_of('/'); begin != std::string::npos;) {
        const std::size_t end = std::min(path.find('/', begin), path.size());
        const std::string name = path.substr(begin, end - begin);
        begin = path.find_first_not_of('/', end);
        const bool is_last = begin == std::string::npos;
        if (place.inode == kNoInode || !is_directory(place.inode)) {
            return {.name = {}, .os_errno = place.inode == kNoInode ? ENOENT : ENOTDIR};
        }
        if (name == ".") {
            continue;
        }
        place.directory = place.inode;
        place.name = name;
        const auto& entries = image_.find(place.directory)->entries;
        const auto entry = entries.find(name);
        place.inode = entry == entries.end() ? kNoInode : entry->second;
        const DiskInode* inode = image_.find(place.inode);
        if (inode != nullptr && inode->type == EntryType::kSymlink && (!is_last || follow_last)) {
            if (links_left == 0) {
                return {.name = {}, .os_errno = ELOOP};
            }
            place = resolve_from(place.directory, inode->bytes, true, links_left - 1);
            if (place.os_errno != 0) {
                return place;
            }
        }
    }
    return place;
}

bool SimulatedFileSystem::is_inside(InodeNumber number, InodeNumber ancestor) const {
    if (number == ancestor) {
        return true;
    }
    const DiskInode* inode = image_.find(ancestor);
    return inode != nullptr &&
           std::any_of(inode->entries.begin(), inode->entries.end(), [&](const auto& entry) {
               return is_inside(number, entry.second);
           });
}

FileStatus SimulatedFileSystem::status_of(InodeNumber number) const {
    const DiskInode& inode = *image_.find(number);
    FileStatus status{.type = inode.type,
                      .bytes = inode.bytes.size(),
                      .allocated_bytes = (inode.bytes.size() + 4095U) / 4096U * 4096U,
                      .device = 1,
                      .inode = number,
                      .link_count = name_counts_.at(number),
                      .mode = inode.mode};
    if (inode.type == EntryType::kDirectory) {
        status.link_count = 2;
        for (const auto& [name, child] : inode.entries) {
            status.link_count += is_directory(child) ? 1U : 0U;
        }
    }
    return status;
}

void SimulatedFileSystem::add_name(InodeNumber directory,
                                   const std::string& name,
                                   InodeNumber number) {
    image_.change(directory).entries[name] = number;
    name_counts_.resize(std::max<std::size_t>(name_counts_.size(), number + 1));
    ++name_counts_[number];
}

void SimulatedFileSystem::drop_name(InodeNumber directory, const std::string& name) {
    auto& entries = image_.change(directory).entries;
    const InodeNumber number = entries.at(name);
    entries.erase(name);
    --name_counts_[number];
    release(number);
}

void SimulatedFileSystem::release(InodeNumber number) {
    const DiskInode* inode = image_.find(number);
    if (number != kRootInode && inode != nullptr && name_counts_[number] == 0 &&
        open_counts_[number] == 0) {
        image_.erase(number);
        open_counts_.erase(number);
    }
}

Result<std::unique_ptr<File>> SimulatedFileSystem::open(const std::string& path,
                                                        const OpenOptions& options) {
    const std::scoped_lock lock(mutex_);
    const char* verb = options.mode == OpenMode::kCreateNew ? "create" : "open";
    const bool must_exist = options.mode == OpenMode::kRead ||
                            options.mode == OpenMode::kReadWrite ||
                            options.mode == OpenMode::kWriteOnly;
    Place place = resolve(path, options.mode != OpenMode::kCreateNew);
    int os_errno = place.os_errno;
    if (os_errno == 0 && place.inode == kNoInode && must_exist) {
        os_errno = ENOENT;
    } else if (os_errno == 0 && place.inode != kNoInode && options.mode == OpenMode::kCreateNew) {
        os_errno = EEXIST;
    } else if (os_errno == 0 && options.mode != OpenMode::kRead && is_directory(place.inode)) {
        os_errno = EISDIR;
    }
    if (os_errno != 0) {
        return error_from_errno(verb, path, os_errno);
    }
    if (place.inode == kNoInode) {
        place.inode = image_.add(EntryType::kFile, options.permissions);
        add_name(place.directory, place.name, place.inode);
        record({.kind = Kind::kMake,
                .path = path,
                .inode = place.inode,
                .directory = place.directory,
                .name = place.name,
                .type = EntryType::kFile,
                .mode = options.permissions});
    }
    return std::unique_ptr<File>(
        std::make_unique<SimulatedFile>(*this, place.inode, path, options));
}

Result<std::unique_ptr<Mapping>> SimulatedFileSystem::map(const std::string& path) {
    const std::scoped_lock lock(mutex_);
    const Place place = resolve(path, true);
    if (place.inode == kNoInode) {
        return error_from_errno("open", path, place.os_errno == 0 ? ENOENT : place.os_errno);
    }
    const DiskInode& inode = *image_.find(place.inode);
    if (inode.type != EntryType::kFile) {
        return Error{ErrorKind::kInvalid, fmt::format("{} is not a plain file", path), 0};
    }
    return std::unique_ptr<Mapping>(std::make_unique<SimulatedMapping>(inode.bytes));
}

Status SimulatedFileSystem::make(const char* verb,
                                 const std::string& path,
                                 EntryType type,
                                 const std::string& target) {
    const Place place = resolve(path, false);
    if (place.os_errno != 0 || place.inode != kNoInode) {
        return error_from_errno(verb, path, place.os_errno != 0 ? place.os_errno : EEXIST);
    }
    const InodeNumber number = image_.add(type, 0777, target);
    add_name(place.directory, place.name, number);
    record({.kind = Kind::kMake,
            .path = path,
            .inode = number,
            .directory = place.directory,
            .name = place.name,
            .type = type,
            .mode = 0777,
            .bytes = target});
    return Status{};
}

Status SimulatedFileSystem::make_directory(const std::string& path) {
    const std::scoped_lock lock(mutex_);
    return make("make the directory", path, EntryType::kDirectory, {});
}

Status SimulatedFileSystem::make_symlink(const std::string& target, const std::string& link) {
    const std::scoped_lock lock(mutex_);
    if (target.empty()) {
        return error_from_errno("make the symlink", link, ENOENT);
    }
    return make("make the symlink", link, EntryType::kSymlink, target);
}

Status SimulatedFileSystem::remove(const char* verb,
                                   const std::string& path,
                                   bool wants_directory) {
    const std::scoped_lock lock(mutex_);
    const Place place = resolve(path, false);
    const DiskInode* inode = image_.find(place.inode);
    int os_errno = place.os_errno;
    if (os_errno == 0 && inode == nullptr) {
        os_errno = ENOENT;
    } else if (os_errno == 0 && wants_directory != (inode->type == EntryType::kDirectory)) {
        os_errno = wants_directory ? ENOTDIR : EISDIR;
    } else if (os_errno == 0 && !inode->entries.empty()) {
        os_errno = ENOTEMPTY;
    }
    if (os_errno != 0) {
        return error_from_errno(verb, path, os_errno);
    }
    record({.kind = Kind::kRemove,
            .path = path,
            .inode = place.inode,
            .directory = place.directory,
            .name = place.name});
    drop_name(place.directory, place.name);
    return Status{};
}

Status SimulatedFileSystem::remove_directory(const std::string& path) {
    return remove("remove the directory", path, true);
}

Status SimulatedFileSystem::remove_file(const std::string& path) {
    return remove("remove", path, false);
}

int SimulatedFileSystem::rename_errno(const Place& from, const Place& to, RenameMode mode) const {
    for (const Place* place : {&from, &to}) {
        if (place->os_errno != 0) {
            return place->os_errno;
        }
    }
    const DiskInode* source = image_.find(from.inode);
    const DiskInode* target = image_.find(to.inode);
    if (source == nullptr) {
        return ENOENT;
    }
    if (target != nullptr && mode == RenameMode::kNoReplace) {
        return EEXIST;
    }
    if (source->type == EntryType::kDirectory && from.inode != to.inode &&
        is_inside(to.directory, from.inode)) {
        return EINVAL;
    }
    if (target == nullptr || from.inode == to.inode) {
        return 0;
    }
    if (is_inside(from.directory, to.inode)) {
        return ENOTEMPTY;
    }
    if ((source->type == EntryType::kDirectory) != (target->type == EntryType::kDirectory)) {
        return source->type == EntryType::kDirectory ? ENOTDIR : EISDIR;
    }
    return target->entries.empty() ? 0 : ENOTEMPTY;
}

Status SimulatedFileSystem::rename(const std::string& from,
                                   const std::string& to,
                                   RenameMode mode) {
    const std::scoped_lock lock(mutex_);
    const Place source = resolve(from, false);
    const Place target = resolve(to, false);
    if (const int os_errno = rename_errno(source, target, mode); os_errno != 0) {
        return error_from_errno("rename", from + " to " + to, os_errno);
    }
    if (source.inode == target.inode) {
        return Status{};  // two names of one file: rename(2) does nothing
    }
    if (target.inode != kNoInode) {
        drop_name(target.directory, target.name);
    }
    add_name(target.directory, target.name, source.inode);
    drop_name(source.directory, source.name);
    record({.kind = Kind::kRename,
            .path = to,
            .path_from = from,
            .inode = source.inode,
            .directory = source.directory,
            .name = source.name,
            .to_directory = target.directory,
            .to_name = target.name});
    return Status{};
}

Status SimulatedFileSystem::hard_link(const std::string& existing, const std::string& link) {
    const std::scoped_lock lock(mutex_);
    const Place source = resolve(existing, false);
    const Place target = resolve(link, false);
    int os_errno = source.os_errno;
    if (os_errno == 0 && source.inode == kNoInode) {
        os_errno = ENOENT;
    } else if (os_errno == 0 && target.os_errno != 0) {
        os_errno = target.os_errno;
    } else if (os_errno == 0 && target.inode != kNoInode) {
        os_errno = EEXIST;
    } else if (os_errno == 0 && is_directory(source.inode)) {
        os_errno = EPERM;
    }
    if (os_errno != 0) {
        return error_from_errno("link", existing + " as " + link, os_errno);
    }
    add_name(target.directory, target.name, source.inode);
    record({.kind = Kind::kLink,
            .path = link,
            .path_from = existing,
            .inode = source.inode,
            .directory = target.directory,
            .name = target.name});
    return Status{};
}

Result<std::string> SimulatedFileSystem::read_symlink(const std::string& link) {
    const std::scoped_lock lock(mutex_);
    const Place place = resolve(link, false);
    const DiskInode* inode = image_.find(place.inode);
    if (inode == nullptr || inode->type != EntryType::kSymlink) {
        const int missing = place.os_errno != 0 ? place.os_errno : ENOENT;
        return error_from_errno("read the symlink", link, inode == nullptr ? missing : EINVAL);
    }
    return inode->bytes;
}

Status SimulatedFileSystem::sync_directory(const std::string& path) {
    const std::scoped_lock lock(mutex_);
    const Place place = resolve(path, true);
    if (!is_directory(place.inode)) {
        const int missing = place.os_errno != 0 ? place.os_errno : ENOENT;
        return error_from_errno(
            "open the directory", path, place.inode == kNoInode ? missing : ENOTDIR);
    }
    record({.kind = Kind::kSyncDirectory, .path = path, .inode = place.inode});
    return Status{};
}

Result<std::vector<std::string>> SimulatedFileSystem::list(const std::string& path) {
    const std::scoped_lock lock(mutex_);
    const Place place = resolve(path, true);
    if (!is_directory(place.inode)) {
        const int missing = place.os_errno != 0 ? place.os_errno : ENOENT;
        return error_from_errno("list", path, place.inode == kNoInode ? missing : ENOTDIR);
    }
    std::vector<std::string> names;
    for (const auto& [name, child] : image_.find(place.inode)->entries) {
        names.push_back(name);
    }
    return names;
}

Result<FileStatus> SimulatedFileSystem::status(const std::string& path) {
    const std::scoped_lock lock(mutex_);
    const Place place = resolve(path, false);
    if (place.inode == kNoInode) {
        return error_from_errno("look at", path, place.os_errno == 0 ? ENOENT : place.os_errno);
    }
    return status_of(place.inode);
}

Result<SpaceStatus> SimulatedFileSystem::space(const std::string& path) {
    const std::scoped_lock lock(mutex_);
    const Place place = resolve(path, true);
    if (place.inode == kNoInode) {
        return error_from_errno(
            "ask for the free space of", path, place.os_errno == 0 ? ENOENT : place.os_errno);
    }
    return SpaceStatus{.total_bytes = std::uint64_t{1} << 50U,
                       .available_bytes = std::uint64_t{1} << 49U};
}

}  // namespace holdfast::fs
