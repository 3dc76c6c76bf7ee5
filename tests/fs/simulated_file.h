// An open file and a mapping of a SimulatedFileSystem; made by its open() and map() alone.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <utility>

#include "base/error.h"
#include "fs/simulated_file_system.h"

namespace holdfast::fs {

class SimulatedFile final : public File {
public:
    SimulatedFile(SimulatedFileSystem& owner,
                  InodeNumber inode,
                  std::string path,
                  const OpenOptions& options)
        : owner_(owner), inode_(inode), path_(std::move(path)), options_(options) {
        ++owner_.open_counts_[inode_];
    }
    ~SimulatedFile() override {
        if (is_open_) {
            static_cast<void>(close().ok());  // a destructor does not report
        }
    }
    SimulatedFile(const SimulatedFile&) = delete;
    SimulatedFile& operator=(const SimulatedFile&) = delete;
    SimulatedFile(SimulatedFile&&) = delete;
    SimulatedFile& operator=(SimulatedFile&&) = delete;

    base::Result<std::size_t> read_at(std::span<std::byte> buffer, std::uint64_t offset) override {
        const std::scoped_lock lock(owner_.mutex_);
        const DiskInode& inode = *owner_.image_.find(inode_);
        if (options_.mode == OpenMode::kWriteOnly) {
            return base::error_from_errno("read", path_, EBADF);
        }
        if (inode.type == EntryType::kDirectory) {
            return base::error_from_errno("read", path_, EISDIR);
        }
        if (!is_aligned(buffer.data(), buffer.size(), offset)) {
            return base::error_from_errno("read", path_, EINVAL);
        }
        const std::uint64_t begin = std::min<std::uint64_t>(offset, inode.bytes.size());
        const std::size_t count = std::min<std::size_t>(buffer.size(), inode.bytes.size() - begin);
        std::memcpy(buffer.data(), inode.bytes.data() + begin, count);
        return count;
    }
    base::Result<std::size_t> write_at(std::span<const std::byte> bytes,
                                       std::uint64_t offset) override {
        const std::scoped_lock lock(owner_.mutex_);
        return write_locked(bytes, offset);
    }
    base::Result<std::size_t> append(std::span<const std::byte> bytes) override {
        const std::scoped_lock lock(owner_.mutex_);
        return write_locked(bytes, owner_.image_.find(inode_)->bytes.size());
    }
    base::Status sync() override {
        const std::scoped_lock lock(owner_.mutex_);
        const bool is_directory = owner_.is_directory(inode_);
        owner_.record({.kind = is_directory ? DiskOperation::Kind::kSyncDirectory
                                            : DiskOperation::Kind::kSyncFile,
                       .path = path_,
                       .inode = inode_});
        return base::Status{};
    }
    base::Status truncate(std::uint64_t bytes) override {
        const std::scoped_lock lock(owner_.mutex_);
        if (options_.mode == OpenMode::kRead) {
            return base::error_from_errno("truncate", path_, EINVAL);
        }
        resize(bytes);
        return base::Status{};
    }
    base::Status reserve(std::uint64_t bytes) override {
        const std::scoped_lock lock(owner_.mutex_);
        if (bytes == 0 || options_.mode == OpenMode::kRead) {
            return base::error_from_errno("reserve space for", path_, bytes == 0 ? EINVAL : EBADF);
        }
        if (owner_.image_.find(inode_)->bytes.size() < bytes) {
            resize(bytes);
        }
        return base::Status{};
    }
    base::Status drop_cache() override { return base::Status{}; }
    base::Status set_permissions(std::uint32_t mode) override {
        const std::scoped_lock lock(owner_.mutex_);
        owner_.image_.change(inode_).mode = mode;
        return base::Status{};
    }
    base::Result<FileStatus> status() override {
        const std::scoped_lock lock(owner_.mutex_);
        return owner_.status_of(inode_);
    }
    base::Status lock_exclusive() override {
        const std::scoped_lock lock(owner_.mutex_);
        const auto [holder, taken] = owner_.lock_holders_.emplace(inode_, this);
        const bool held = taken || holder->second == this;
        return held ? base::Status{} : base::error_from_errno("lock", path_, EWOULDBLOCK);
    }
    base::Status close() override {
        const std::scoped_lock lock(owner_.mutex_);
        is_open_ = false;
        const auto holder = owner_.lock_holders_.find(inode_);
        if (holder != owner_.lock_holders_.end() && holder->second == this) {
            owner_.lock_holders_.erase(holder);
        }
        --owner_.open_counts_[inode_];
        owner_.release(inode_);
        return base::Status{};
    }
    [[nodiscard]] int descriptor() const override { return -1; }

private:
    static constexpr std::uint64_t kAlignment = 4096;

    [[nodiscard]] bool is_aligned(const std::byte* data,
                                  std::size_t size,
                                  std::uint64_t offset) const {
        return !options_.direct || (reinterpret_cast<std::uintptr_t>(data) % kAlignment == 0 &&
                                    size % kAlignment == 0 && offset % kAlignment == 0);
    }
    base::Result<std::size_t> write_locked(std::span<const std::byte> bytes, std::uint64_t offset) {
        if (options_.mode == OpenMode::kRead) {
            return base::error_from_errno("write", path_, EBADF);
        }
        if (!is_aligned(bytes.data(), bytes.size(), offset)) {
            return base::error_from_errno("write", path_, EINVAL);
        }
        if (bytes.empty()) {
            return std::size_t{0};
        }
        std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        DiskInode& inode = owner_.image_.change(inode_);
        inode.bytes.resize(std::max<std::size_t>(inode.bytes.size(), offset + text.size()));
        inode.bytes.replace(offset, text.size(), text);
        inode.bytes_digest.reset();
        owner_.record({.kind = DiskOperation::Kind::kWrite,
                       .path = path_,
                       .inode = inode_,
                       .offset = offset,
                       .bytes = std::move(text)});
        return bytes.size();
    }
    void resize(std::uint64_t bytes) {
        DiskInode& inode = owner_.image_.change(inode_);
        if (inode.bytes.size() != bytes) {
            inode.bytes.resize(bytes);
            inode.bytes_digest.reset();
            owner_.record({.kind = DiskOperation::Kind::kResize,
                           .path = path_,
                           .inode = inode_,
                           .offset = bytes});
        }
    }

    SimulatedFileSystem& owner_;
    InodeNumber inode_;
    std::string path_;
    OpenOptions options_;
    bool is_open_ = true;
};

class SimulatedMapping final : public Mapping {
public:
    explicit SimulatedMapping(std::string bytes) : bytes_(std::move(bytes)) {}
    [[nodiscard]] std::span<const std::byte> bytes() const override {
        return std::as_bytes(std::span(bytes_));
    }

private:
    std::string bytes_;
};

}  // namespace holdfast::fs
