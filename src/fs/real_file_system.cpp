#include "fs/real_file_system.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <utility>

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <fmt/format.h>

#include "fs/restarting_file_system.h"

namespace holdfast::fs {

namespace {

using base::Error;
using base::error_from_errno;
using base::ErrorKind;
using base::Result;
using base::Status;

FileStatus to_file_status(const struct ::stat& raw) {
    FileStatus status;
    if (S_ISREG(raw.st_mode)) {
        status.type = EntryType::kFile;
    } else if (S_ISDIR(raw.st_mode)) {
        status.type = EntryType::kDirectory;
    } else if (S_ISLNK(raw.st_mode)) {
        status.type = EntryType::kSymlink;
    }
    status.bytes = static_cast<std::uint64_t>(raw.st_size);
    status.allocated_bytes =
        static_cast<std::uint64_t>(raw.st_blocks) * 512;  // st_blocks is always in 512
    status.device = raw.st_dev;
    status.inode = raw.st_ino;
    status.link_count = raw.st_nlink;
    status.mode = raw.st_mode & 07777U;
    return status;
}

class RealFile final : public File {
public:
    RealFile(int descriptor, std::string path) : descriptor_(descriptor), path_(std::move(path)) {}
    ~RealFile() override {
        if (descriptor_ >= 0) {
            ::close(descriptor_);
        }
    }
    RealFile(const RealFile&) = delete;
    RealFile& operator=(const RealFile&) = delete;
    RealFile(RealFile&&) = delete;
    RealFile& operator=(RealFile&&) = delete;

    Result<std::size_t> read_at(std::span<std::byte> buffer, std::uint64_t offset) override {
        const ssize_t count =
            ::pread(descriptor_, buffer.data(), buffer.size(), static_cast<off_t>(offset));
        return transferred("read", count);
    }
    Result<std::size_t> write_at(std::span<const std::byte> bytes, std::uint64_t offset) override {
        const ssize_t count =
            ::pwrite(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
        return transferred("write", count);
    }
    Result<std::size_t> append(std::span<const std::byte> bytes) override {
        return transferred("write", ::write(descriptor_, bytes.data(), bytes.size()));
    }
    Status sync() override { return outcome("sync", ::fsync(descriptor_)); }
    Status truncate(std::uint64_t bytes) override {
        return outcome("truncate", ::ftruncate(descriptor_, static_cast<off_t>(bytes)));
    }
    Status reserve(std::uint64_t bytes) override {
        if (::fallocate(descriptor_, 0, 0, static_cast<off_t>(bytes)) == 0) {
            return Status{};
        }
        Error error = error_from_errno("reserve space for", path_, errno);
        if (error.os_errno == EOPNOTSUPP || error.os_errno == ENOSYS) {
            error.kind = ErrorKind::kInvalid;
        }
        return error;
    }
    Status drop_cache() override {
        // posix_fadvise returns the error instead of setting errno.
        const int code = ::posix_fadvise(descriptor_, 0, 0, POSIX_FADV_DONTNEED);
        return code == 0 ? Status{} : error_from_errno("drop the cache of", path_, code);
    }
    Status set_permissions(std::uint32_t mode) override {
        return outcome("set the permissions of", ::fchmod(descriptor_, mode));
    }
    Result<FileStatus> status() override {
        struct ::stat raw {};
        if (::fstat(descriptor_, &raw) != 0) {
            return error_from_errno("look at", path_, errno);
        }
        return to_file_status(raw);
    }
    Status lock_exclusive() override {
        return outcome("lock", ::flock(descriptor_, LOCK_EX | LOCK_NB));
    }
    Status close() override { return outcome("close", ::close(std::exchange(descriptor_, -1))); }
    [[nodiscard]] int descriptor() const override { return descriptor_; }

private:
    Result<std::size_t> transferred(const char* verb, ssize_t count) const {
        if (count < 0) {
            return error_from_errno(verb, path_, errno);
        }
        return static_cast<std::size_t>(count);
    }
    Status outcome(const char* verb, int code) const {
        return code == 0 ? Status{} : error_from_errno(verb, path_, errno);
    }

    int descriptor_;
    std::string path_;
};

class RealMapping final : public Mapping {
public:
    RealMapping(const std::byte* data, std::size_t size) : bytes_(data, size) {}
    ~RealMapping() override {
        if (!bytes_.empty()) {
            // The kernel wants a pointer to non-const; the bytes are not written.
            ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());  // NOLINT
        }
    }
    RealMapping(const RealMapping&) = delete;
    RealMapping& operator=(const RealMapping&) = delete;
    RealMapping(RealMapping&&) = delete;
    RealMapping& operator=(RealMapping&&) = delete;
    [[nodiscard]] std::span<const std::byte> bytes() const override { return bytes_; }

private:
    std::span<const std::byte> bytes_;
};

class RealFileSystem final : public FileSystem {
public:
    Result<std::unique_ptr<File>> open(const std::string& path,
                                       const OpenOptions& options) override {
        int flags = O_CLOEXEC;
        switch (options.mode) {
            case OpenMode::kRead:
                flags |= O_RDONLY;
                break;
            case OpenMode::kCreateNew:
                flags |= O_RDWR | O_CREAT | O_EXCL;
                break;
            case OpenMode::kReadWrite:
                flags |= O_RDWR;
                break;
            case OpenMode::kWriteOnly:
                flags |= O_WRONLY;
                break;
            case OpenMode::kAppend:
                flags |= O_RDWR | O_CREAT | O_APPEND;
                break;
            case OpenMode::kOpenOrCreate:
                flags |= O_RDWR | O_CREAT;
                break;
        }
        if (options.direct) {
            flags |= O_DIRECT;
        }
        const int descriptor = ::open(path.c_str(), flags, options.permissions);
        if (descriptor < 0) {
            return error_from_errno(
                options.mode == OpenMode::kCreateNew ? "create" : "open", path, errno);
        }
        return std::unique_ptr<File>(std::make_unique<RealFile>(descriptor, path));
    }

    Result<std::unique_ptr<Mapping>> map(const std::string& path) override {
        Result<std::unique_ptr<File>> file = open(path, OpenOptions{});
        if (!file.ok()) {
            return file.error();
        }
        const Result<FileStatus> status = file.value()->status();
        if (!status.ok()) {
            return status.error();
        }
        if (status.value().type != EntryType::kFile) {
            return Error{ErrorKind::kInvalid, fmt::format("{} is not a plain file", path), 0};
        }
        const std::size_t size = status.value().bytes;
        if (size == 0) {
            return std::unique_ptr<Mapping>(std::make_unique<RealMapping>(nullptr, 0));
        }
        void* address = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, file.value()->descriptor(), 0);
        if (address == MAP_FAILED) {
            return error_from_errno("map", path, errno);
        }
        return std::unique_ptr<Mapping>(
            std::make_unique<RealMapping>(static_cast<const std::byte*>(address), size));
    }

    Status make_directory(const std::string& path) override {
        return outcome("make the directory", path, ::mkdir(path.c_str(), 0777));
    }
    Status remove_directory(const std::string& path) override {
        return outcome("remove the directory", path, ::rmdir(path.c_str()));
    }
    Status remove_file(const std::string& path) override {
        return outcome("remove", path, ::unlink(path.c_str()));
    }
    Status rename(const std::string& from, const std::string& to, RenameMode mode) override {
        if (mode == RenameMode::kReplace) {
            return outcome("rename", from + " to " + to, ::rename(from.c_str(), to.c_str()));
        }
        if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) {
            return Status{};
        }
        if (errno != EINVAL && errno != ENOSYS) {
            return error_from_errno("rename", from + " to " + to, errno);
        }
        // This file system has no RENAME_NOREPLACE. Making the directory first claims the name:
        // rename(2) replaces an empty directory and nothing else.
        if (::mkdir(to.c_str(), 0777) != 0) {
            return error_from_errno("rename", from + " to " + to, errno);
        }
        if (::rename(from.c_str(), to.c_str()) == 0) {
            return Status{};
        }
        const int rename_errno = errno;
        // The claim goes with the failure. EINVAL also has another cause, a directory moved into
        // itself, for which no claim was due at all.
        ::rmdir(to.c_str());
        return error_from_errno("rename", from + " to " + to, rename_errno);
    }
    Status hard_link(const std::string& existing, const std::string& link) override {
        return outcome("link", existing + " as " + link, ::link(existing.c_str(), link.c_str()));
    }
    Status make_symlink(const std::string& target, const std::string& link) override {
        return outcome("make the symlink", link, ::symlink(target.c_str(), link.c_str()));
    }
    Result<std::string> read_symlink(const std::string& link) override {
        std::array<char, 4096> buffer{};
        const ssize_t length = ::readlink(link.c_str(), buffer.data(), buffer.size());
        if (length < 0) {
            return error_from_errno("read the symlink", link, errno);
        }
        return std::string(buffer.data(), static_cast<std::size_t>(length));
    }

    Status sync_directory(const std::string& path) override {
        const int descriptor = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (descriptor < 0) {
            return error_from_errno("open the directory", path, errno);
        }
        const int code = ::fsync(descriptor);
        const int sync_errno = errno;
        ::close(descriptor);
        return code == 0 ? Status{} : error_from_errno("sync the directory", path, sync_errno);
    }

    Result<std::vector<std::string>> list(const std::string& path) override {
        DIR* directory = ::opendir(path.c_str());
        if (directory == nullptr) {
            return error_from_errno("list", path, errno);
        }
        std::vector<std::string> names;
        errno = 0;
        while (const dirent* entry = ::readdir(directory)) {
            std::string name = entry->d_name;
            if (name != "." && name != "..") {
                names.push_back(std::move(name));
            }
            errno = 0;
        }
        const int list_errno = errno;
        ::closedir(directory);
        if (list_errno != 0) {
            return error_from_errno("list", path, list_errno);
        }
        std::sort(names.begin(), names.end());
        return names;
    }

    Result<FileStatus> status(const std::string& path) override {
        struct ::stat raw {};
        if (::lstat(path.c_str(), &raw) != 0) {
            return error_from_errno("look at", path, errno);
        }
        return to_file_status(raw);
    }

    Result<SpaceStatus> space(const std::string& path) override {
        struct ::statvfs raw {};
        if (::statvfs(path.c_str(), &raw) != 0) {
            return error_from_errno("ask for the free space of", path, errno);
        }
        return SpaceStatus{std::uint64_t{raw.f_blocks} * raw.f_frsize,
                           std::uint64_t{raw.f_bavail} * raw.f_frsize};
    }

private:
    static Status outcome(const char* verb, const std::string& path, int code) {
        return code == 0 ? Status{} : error_from_errno(verb, path, errno);
    }
};

}  // namespace

FileSystem& real_file_system() {
    static RealFileSystem calls;
    static RestartingFileSystem file_system(calls);
    return file_system;
}

}  // namespace holdfast::fs
