// A file system in memory behind the seam, which writes down every operation that changes the disk.
//
// It answers as ext4 and tmpfs do (simulated_file_system_test.cpp compares them) and starts from
// any DiskImage, so a test can mount what a power cut left (power_cut.h takes the operations).
// Paths are absolute or relative to the root. O_DIRECT is accepted and its alignment demanded.
// Space is endless. No umask and no permissions: the user is root. Any thread, as the seam says.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "fs/disk_image.h"
#include "fs/file_system.h"

namespace holdfast::fs {

// One change of the disk, or one wait for it.
struct DiskOperation {
    enum class Kind {
        kWrite,   // `bytes` at `offset` of `inode`
        kResize,  // `inode` has `offset` bytes
        kMake,    // a new inode under (`directory`, `name`); `bytes`: the target of a symlink
        kLink,    // a further name
        kRemove,  // the name goes, of whatever type
        kRename,  // (`directory`, `name`) becomes (`to_directory`, `to_name`)
        kSyncFile,
        kSyncDirectory,  // of `inode`
    };
    Kind kind = Kind::kWrite;
    std::string path{};       // as the caller gave it; of a rename the new one
    std::string path_from{};  // of a rename
    InodeNumber inode = kNoInode;
    InodeNumber directory = kNoInode;
    std::string name{};
    InodeNumber to_directory = kNoInode;
    std::string to_name{};
    EntryType type = EntryType::kFile;
    std::uint32_t mode = 0;
    std::uint64_t offset = 0;
    std::string bytes{};

    [[nodiscard]] bool is_sync() const {
        return kind == Kind::kSyncFile || kind == Kind::kSyncDirectory;
    }
};

class SimulatedFileSystem : public FileSystem {
public:
    explicit SimulatedFileSystem(DiskImage image = {});

    // The disk as programs see it now.
    [[nodiscard]] DiskImage image() const;
    // Everything since the construction, in order.
    [[nodiscard]] const std::vector<DiskOperation>& operations() const { return operations_; }
    // Changes bytes that are on the disk, past every program: what a bad sector does. Not recorded.
    void damage(const std::string& path, std::uint64_t offset);

    base::Result<std::unique_ptr<File>> open(const std::string& path,
                                             const OpenOptions& options) override;
    base::Result<std::unique_ptr<Mapping>> map(const std::string& path) override;
    base::Status make_directory(const std::string& path) override;
    base::Status remove_directory(const std::string& path) override;
    base::Status remove_file(const std::string& path) override;
    base::Status rename(const std::string& from, const std::string& to, RenameMode mode) override;
    base::Status hard_link(const std::string& existing, const std::string& link) override;
    base::Status make_symlink(const std::string& target, const std::string& link) override;
    base::Result<std::string> read_symlink(const std::string& link) override;
    base::Status sync_directory(const std::string& path) override;
    base::Result<std::vector<std::string>> list(const std::string& path) override;
    base::Result<FileStatus> status(const std::string& path) override;
    base::Result<SpaceStatus> space(const std::string& path) override;

private:
    friend class SimulatedFile;

    // Where a path leads. `inode` is kNoInode when the last name is free in `directory`.
    struct Place {
        InodeNumber directory = kNoInode;
        std::string name;
        InodeNumber inode = kNoInode;
        int os_errno = 0;  // why it leads nowhere
    };
    [[nodiscard]] Place resolve(const std::string& path, bool follow_last) const;
    [[nodiscard]] Place resolve_from(InodeNumber directory,
                                     const std::string& path,
                                     bool follow_last,
                                     int links_left) const;
    [[nodiscard]] bool is_directory(InodeNumber number) const;
    [[nodiscard]] bool is_inside(InodeNumber number, InodeNumber ancestor) const;
    [[nodiscard]] int rename_errno(const Place& from, const Place& to, RenameMode mode) const;
    [[nodiscard]] FileStatus status_of(InodeNumber number) const;
    base::Status make(const char* verb,
                      const std::string& path,
                      EntryType type,
                      const std::string& target);
    base::Status remove(const char* verb, const std::string& path, bool wants_directory);
    void add_name(InodeNumber directory, const std::string& name, InodeNumber number);
    void drop_name(InodeNumber directory, const std::string& name);
    void release(InodeNumber number);
    void record(DiskOperation operation) { operations_.push_back(std::move(operation)); }

    mutable std::mutex mutex_;  // guards all below
    DiskImage image_;
    std::vector<std::uint64_t> name_counts_;  // of each inode: its hard links
    std::map<InodeNumber, int> open_counts_;
    std::map<InodeNumber, const File*> lock_holders_;
    std::vector<DiskOperation> operations_;
};

}  // namespace holdfast::fs
