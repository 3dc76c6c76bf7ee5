// A file system of 64 MiB, mounted for one test and gone with its process: a tmpfs, or ext4 in a
// file through a loop device. Needs root.
#pragma once

#include <cstdint>
#include <string>

namespace holdfast::faults {

enum class DiskKind { kTmpfs, kExt4 };

class SmallDisk {
public:
    // Mounts it at `mount_point`, a new folder. `image_path` becomes the file behind an ext4.
    SmallDisk(DiskKind kind, std::string mount_point, const std::string& image_path);
    ~SmallDisk();
    SmallDisk(const SmallDisk&) = delete;
    SmallDisk& operator=(const SmallDisk&) = delete;

    // Why there is no disk; empty when there is one.
    [[nodiscard]] const std::string& why_not() const { return why_not_; }
    [[nodiscard]] const std::string& path() const { return mount_point_; }
    [[nodiscard]] std::uint64_t available_bytes() const;
    // A file takes all room but `bytes`.
    void fill_leaving(std::uint64_t bytes);
    // The file goes.
    void free() const;
    // `umount -l`: the mount point is an empty folder at once, open files live on.
    void unmount();

private:
    std::string mount_point_;
    std::string why_not_;
    bool mounted_ = false;
};

}  // namespace holdfast::faults
