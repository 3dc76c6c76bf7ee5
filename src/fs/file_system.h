// The seam: every open, write, fsync, rename, statvfs and mmap of the program goes through here.
//
// RealFileSystem (real_file_system.h) makes the system calls; tests put a faulty or a simulated one
// behind the same face. The operations are the smallest set the rooms above need, each one system
// call, so that a fault test can fail every single one. Short and interrupted transfers are the
// caller's to see (durable_write.h repeats them), an interrupted sync() too; any other interruption
// ends in RestartingFileSystem (restarting_file_system.h), which stands before the real one.
//
// Paths are plain strings, '/' separated, as given by the user; nothing here resolves or changes
// them. Every call may block on the disk. Any thread may call a FileSystem; a File belongs to one
// thread at a time, but for read_at, which several may call at once. Errors carry the verb, the
// path and the errno (base/error.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace holdfast::fs {

// How often in a row a call that a signal broke off is made again before EINTR is told.
inline constexpr int kInterruptionsMax = 100;

enum class EntryType { kFile, kDirectory, kSymlink, kOther };

// What stat tells. `device` and `inode` together name the file itself, whatever its path.
struct FileStatus {
    EntryType type = EntryType::kOther;
    std::uint64_t bytes = 0;            // length
    std::uint64_t allocated_bytes = 0;  // blocks really held on disk
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::uint64_t link_count = 0;
    std::uint32_t mode = 0;  // permission bits
};

struct SpaceStatus {
    std::uint64_t total_bytes = 0;
    std::uint64_t available_bytes = 0;  // to this user
};

enum class OpenMode {
    kRead,         // must exist
    kCreateNew,    // O_EXCL: must not exist; read and write
    kReadWrite,    // must exist
    kWriteOnly,    // must exist; a network disk then never completes a page by reading it, so that
                   // machines may write to one page of a file
    kAppend,       // made when missing; every write goes to the end
    kOpenOrCreate  // made when missing; read and write
};

struct OpenOptions {
    OpenMode mode = OpenMode::kRead;
    bool direct = false;               // O_DIRECT: addresses, lengths and offsets multiples of 4096
    std::uint32_t permissions = 0666;  // of a new file, before the umask
};

// An open file. The destructor closes and reports nothing: after writing, call sync() and close()
// and look.
class File {
public:
    virtual ~File() = default;

    // One pread / pwrite: may transfer less than asked; 0 from read_at is the end of the file.
    virtual base::Result<std::size_t> read_at(std::span<std::byte> buffer,
                                              std::uint64_t offset) = 0;
    virtual base::Result<std::size_t> write_at(std::span<const std::byte> bytes,
                                               std::uint64_t offset) = 0;
    // One write at the end; only for OpenMode::kAppend.
    virtual base::Result<std::size_t> append(std::span<const std::byte> bytes) = 0;

    // fsync. After a failure the kernel may have dropped the data and forgotten so: never call it
    // again and believe it; write the bytes anew under another name.
    virtual base::Status sync() = 0;
    virtual base::Status truncate(std::uint64_t bytes) = 0;
    // fallocate(2): blocks for [0, bytes) are reserved, the length grows to `bytes`. EOPNOTSUPP is
    // kInvalid.
    virtual base::Status reserve(std::uint64_t bytes) = 0;
    // POSIX_FADV_DONTNEED on the whole file: a hint that the next read should come from the device.
    virtual base::Status drop_cache() = 0;
    virtual base::Status set_permissions(std::uint32_t mode) = 0;
    [[nodiscard]] virtual base::Result<FileStatus> status() = 0;
    // flock LOCK_EX | LOCK_NB: kBusy when another open file description holds it.
    virtual base::Status lock_exclusive() = 0;
    virtual base::Status close() = 0;

    // The descriptor, for what must be inherited by a child; -1 where there is none.
    [[nodiscard]] virtual int descriptor() const = 0;
};

// Bytes of a file mapped for reading, unmapped by the destructor. A truncation by somebody else
// makes a read fault (SIGBUS): map only what our own immutable files promise, or data the user was
// told to leave alone.
class Mapping {
public:
    virtual ~Mapping() = default;
    [[nodiscard]] virtual std::span<const std::byte> bytes() const = 0;
};

enum class RenameMode {
    kReplace,    // rename(2)
    kNoReplace,  // renameat2 RENAME_NOREPLACE: kExists when the new name is taken
};

class FileSystem {
public:
    virtual ~FileSystem() = default;

    virtual base::Result<std::unique_ptr<File>> open(const std::string& path,
                                                     const OpenOptions& options) = 0;
    virtual base::Result<std::unique_ptr<Mapping>> map(const std::string& path) = 0;

    virtual base::Status make_directory(const std::string& path) = 0;  // kExists when it is there
    virtual base::Status remove_directory(const std::string& path) = 0;
    virtual base::Status remove_file(const std::string& path) = 0;
    virtual base::Status rename(const std::string& from,
                                const std::string& to,
                                RenameMode mode) = 0;
    virtual base::Status hard_link(const std::string& existing, const std::string& link) = 0;
    virtual base::Status make_symlink(const std::string& target, const std::string& link) = 0;
    virtual base::Result<std::string> read_symlink(const std::string& link) = 0;

    // fsync of the directory: the names in it are durable.
    virtual base::Status sync_directory(const std::string& path) = 0;
    // Names without "." and "..", sorted.
    virtual base::Result<std::vector<std::string>> list(const std::string& path) = 0;
    // lstat: a symlink is told as one.
    virtual base::Result<FileStatus> status(const std::string& path) = 0;
    virtual base::Result<SpaceStatus> space(const std::string& path) = 0;
};

// "a" and "b" as "a/b"; an absolute `name` or an empty `directory` stays alone.
std::string join(const std::string& directory, const std::string& name);
// The part before the last '/', "." when there is none; and the part after it.
std::string parent_of(const std::string& path);
std::string name_of(const std::string& path);

// True when lstat finds something; false when it says kNotFound; any other error is told.
base::Result<bool> exists(FileSystem& file_system, const std::string& path);
// mkdir -p, without syncing anything.
base::Status make_directories(FileSystem& file_system, const std::string& path);

}  // namespace holdfast::fs
