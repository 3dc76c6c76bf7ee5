#include "faults/small_disk.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <utility>

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <gtest/gtest.h>
#include <sched.h>

namespace holdfast::faults {

namespace {

// Mounts of this process are its own from here on and go when it ends, however it ends.
std::string enter_own_mounts() {
    static const std::string why_not = [] {
        if (::unshare(CLONE_NEWNS) != 0 ||
            ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
            return std::string("mounts of its own are not allowed here: ") + std::strerror(errno);
        }
        return std::string();
    }();
    return why_not;
}

std::string mount_ext4(const std::string& mount_point, const std::string& image_path) {
    // mount(8) finds a loop device and gives it back when the last mount goes.
    const std::string command = "truncate -s 64M '" + image_path + "' && mkfs.ext4 -q -m 0 '" +
                                image_path + "' && mount -t ext4 -o loop '" + image_path + "' '" +
                                mount_point + "'";
    // NOLINTNEXTLINE(cert-env33-c): the words are this test's own
    return std::system(command.c_str()) == 0 ? "" : "no ext4 in a file here: " + command;
}

std::string filler_of(const std::string& mount_point) {
    return mount_point + "/filler";
}

}  // namespace

SmallDisk::SmallDisk(DiskKind kind, std::string mount_point, const std::string& image_path)
    : mount_point_(std::move(mount_point)), why_not_(enter_own_mounts()) {
    std::filesystem::create_directory(mount_point_);
    if (why_not_.empty() && kind == DiskKind::kExt4) {
        why_not_ = mount_ext4(mount_point_, image_path);
    } else if (why_not_.empty() &&
               ::mount("tmpfs", mount_point_.c_str(), "tmpfs", 0, "size=64m") != 0) {
        why_not_ = std::string("no tmpfs here: ") + std::strerror(errno);
    }
    mounted_ = why_not_.empty();
}

SmallDisk::~SmallDisk() {
    if (mounted_) {
        ::umount2(mount_point_.c_str(), MNT_DETACH);
    }
}

std::uint64_t SmallDisk::available_bytes() const {
    struct ::statvfs raw {};
    EXPECT_EQ(::statvfs(mount_point_.c_str(), &raw), 0);
    return std::uint64_t{raw.f_bavail} * raw.f_frsize;
}

void SmallDisk::fill_leaving(std::uint64_t bytes) {
    const int file = ::open(filler_of(mount_point_).c_str(), O_WRONLY | O_CREAT, 0644);
    ASSERT_GE(file, 0);
    // A file system takes a block or two for itself as the file grows: what is left then is taken
    // too.
    off_t end = 0;
    for (int attempt = 0; attempt < 4 && available_bytes() > bytes; ++attempt) {
        end += static_cast<off_t>(available_bytes() - bytes);
        if (::posix_fallocate(file, 0, end) != 0) {
            end -= 4096;
        }
    }
    ::close(file);
}

void SmallDisk::free() const {
    ASSERT_EQ(::unlink(filler_of(mount_point_).c_str()), 0);
}

void SmallDisk::unmount() {
    ASSERT_EQ(::umount2(mount_point_.c_str(), MNT_DETACH), 0);
    mounted_ = false;
}

}  // namespace holdfast::faults
