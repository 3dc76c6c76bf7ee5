// A wrapper over any FileSystem that makes calls fail: the k-th call, or the k-th of one kind, once
// or from then on, with an errno; short writes; and crashes (from the k-th call on nothing reaches
// the disk any more, cleaning up included). Counts every call, so a test can first measure a
// sequence and then fail each call of it in turn. Any thread.
#pragma once

#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "fs/file_system.h"

namespace holdfast::fs {

enum class Operation {
    kOpen,
    kRead,
    kWrite,
    kAppend,
    kSync,
    kTruncate,
    kReserve,
    kDropCache,
    kSetPermissions,
    kFileStatus,
    kLock,
    kClose,
    kMap,
    kMakeDirectory,
    kRemoveDirectory,
    kRemoveFile,
    kRename,
    kHardLink,
    kMakeSymlink,
    kReadSymlink,
    kSyncDirectory,
    kList,
    kStatus,
    kSpace,
};

struct Fault {
    std::uint64_t at_call = 1;             // counted from 1 among the calls that match
    std::optional<Operation> operation{};  // only calls of this kind count; nothing: all
    std::string path_part{};               // only calls on a path containing this count
    int os_errno = EIO;
    bool for_ever = false;     // this call and all later matching ones; else this one only
    bool crash = false;        // from this call on every call fails, whatever it is
    bool short_write = false;  // the call transfers half (at least 1 byte) and succeeds
    bool kill = false;         // the process ends before the call, by SIGKILL
};

class FaultFileSystem : public FileSystem {
public:
    explicit FaultFileSystem(FileSystem& inner) : inner_(inner) {}

    void arm(Fault fault) {
        const std::scoped_lock lock(mutex_);
        fault_ = std::move(fault);
        matching_ = 0;
        crashed_ = false;
        fired_ = false;
    }
    void disarm() {
        const std::scoped_lock lock(mutex_);
        fault_.reset();
        crashed_ = false;
    }
    // A disk that hangs: calls of this kind wait until open_gate().
    void close_gate(Operation operation) {
        const std::scoped_lock lock(mutex_);
        gate_ = operation;
    }
    void open_gate() {
        {
            const std::scoped_lock lock(mutex_);
            gate_.reset();
        }
        gate_opened_.notify_all();
    }
    // Sweeps over thousands of calls need no real fsync: with false, syncs are counted and may
    // fail, but do not wait for the disk.
    void let_syncs_reach_disk(bool reach) { syncs_reach_disk_ = reach; }

    // Calls seen since construction or reset_count().
    [[nodiscard]] std::uint64_t calls() const {
        const std::scoped_lock lock(mutex_);
        return calls_;
    }
    void reset_count() {
        const std::scoped_lock lock(mutex_);
        calls_ = 0;
        bytes_read_ = 0;
        history_.clear();
    }
    // Bytes that came back from File::read_at since then.
    [[nodiscard]] std::uint64_t bytes_read() const {
        const std::scoped_lock lock(mutex_);
        return bytes_read_;
    }
    // Whether the armed fault has happened.
    [[nodiscard]] bool fired() const {
        const std::scoped_lock lock(mutex_);
        return fired_;
    }
    // The calls since reset_count(), in order: for tests of the order of operations.
    [[nodiscard]] std::vector<std::pair<Operation, std::string>> history() const {
        const std::scoped_lock lock(mutex_);
        return history_;
    }

    base::Result<std::unique_ptr<File>> open(const std::string& path,
                                             const OpenOptions& options) override;
    base::Result<std::unique_ptr<Mapping>> map(const std::string& path) override {
        if (auto error = check(Operation::kMap, path)) {
            return *error;
        }
        return inner_.map(path);
    }
    base::Status make_directory(const std::string& path) override {
        const auto error = check(Operation::kMakeDirectory, path);
        return error ? *error : inner_.make_directory(path);
    }
    base::Status remove_directory(const std::string& path) override {
        const auto error = check(Operation::kRemoveDirectory, path);
        return error ? *error : inner_.remove_directory(path);
    }
    base::Status remove_file(const std::string& path) override {
        const auto error = check(Operation::kRemoveFile, path);
        return error ? *error : inner_.remove_file(path);
    }
    base::Status rename(const std::string& from, const std::string& to, RenameMode mode) override {
        const auto error = check(Operation::kRename, from + " " + to);
        return error ? *error : inner_.rename(from, to, mode);
    }
    base::Status hard_link(const std::string& existing, const std::string& link) override {
        const auto error = check(Operation::kHardLink, existing + " " + link);
        return error ? *error : inner_.hard_link(existing, link);
    }
    base::Status make_symlink(const std::string& target, const std::string& link) override {
        const auto error = check(Operation::kMakeSymlink, link);
        return error ? *error : inner_.make_symlink(target, link);
    }
    base::Result<std::string> read_symlink(const std::string& link) override {
        if (auto error = check(Operation::kReadSymlink, link)) {
            return *error;
        }
        return inner_.read_symlink(link);
    }
    base::Status sync_directory(const std::string& path) override {
        const auto error = check(Operation::kSyncDirectory, path);
        if (error) {
            return *error;
        }
        return syncs_reach_disk_ ? inner_.sync_directory(path) : base::Status{};
    }
    base::Result<std::vector<std::string>> list(const std::string& path) override {
        if (auto error = check(Operation::kList, path)) {
            return *error;
        }
        return inner_.list(path);
    }
    base::Result<FileStatus> status(const std::string& path) override {
        if (auto error = check(Operation::kStatus, path)) {
            return *error;
        }
        return inner_.status(path);
    }
    base::Result<SpaceStatus> space(const std::string& path) override {
        if (auto error = check(Operation::kSpace, path)) {
            return *error;
        }
        return inner_.space(path);
    }

private:
    friend class FaultFile;

    // The error this call must answer; `shorten` is set when it must transfer less instead.
    std::optional<base::Error> check(Operation operation,
                                     const std::string& path,
                                     bool* shorten = nullptr) {
        std::unique_lock lock(mutex_);
        gate_opened_.wait(lock, [&] { return gate_ != operation; });
        ++calls_;
        history_.emplace_back(operation, path);
        if (!fault_) {
            return std::nullopt;
        }
        if (crashed_) {
            return base::error_from_errno("(crashed) use", path, EIO);
        }
        const bool matches =
            (!fault_->operation || *fault_->operation == operation) &&
            (fault_->path_part.empty() || path.find(fault_->path_part) != std::string::npos);
        matching_ += matches ? 1 : 0;
        const bool now = matches && (fault_->for_ever ? matching_ >= fault_->at_call
                                                      : matching_ == fault_->at_call);
        if (!now) {
            return std::nullopt;
        }
        fired_ = true;
        crashed_ = fault_->crash;
        if (fault_->kill) {
            ::raise(SIGKILL);
        }
        if (fault_->short_write) {
            if (shorten != nullptr) {
                *shorten = true;
            }
            return std::nullopt;
        }
        return base::error_from_errno("(fault) use", path, fault_->os_errno);
    }

    FileSystem& inner_;
    mutable std::mutex mutex_;
    std::optional<Fault> fault_;
    std::uint64_t calls_ = 0;
    std::uint64_t bytes_read_ = 0;
    std::uint64_t matching_ = 0;
    bool crashed_ = false;
    bool fired_ = false;
    std::optional<Operation> gate_;
    std::condition_variable gate_opened_;
    bool syncs_reach_disk_ = true;
    std::vector<std::pair<Operation, std::string>> history_;
};

class FaultFile : public File {
public:
    FaultFile(FaultFileSystem& owner, std::unique_ptr<File> inner, std::string path)
        : owner_(owner), inner_(std::move(inner)), path_(std::move(path)) {}

    base::Result<std::size_t> read_at(std::span<std::byte> buffer, std::uint64_t offset) override {
        if (auto error = owner_.check(Operation::kRead, path_)) {
            return *error;
        }
        base::Result<std::size_t> count = inner_->read_at(buffer, offset);
        if (count.ok()) {
            const std::scoped_lock lock(owner_.mutex_);
            owner_.bytes_read_ += count.value();
        }
        return count;
    }
    base::Result<std::size_t> write_at(std::span<const std::byte> bytes,
                                       std::uint64_t offset) override {
        bool shorten = false;
        if (auto error = owner_.check(Operation::kWrite, path_, &shorten)) {
            return *error;
        }
        return inner_->write_at(shorten ? half(bytes) : bytes, offset);
    }
    base::Result<std::size_t> append(std::span<const std::byte> bytes) override {
        bool shorten = false;
        if (auto error = owner_.check(Operation::kAppend, path_, &shorten)) {
            return *error;
        }
        return inner_->append(shorten ? half(bytes) : bytes);
    }
    base::Status sync() override {
        const auto error = owner_.check(Operation::kSync, path_);
        if (error) {
            return *error;
        }
        return owner_.syncs_reach_disk_ ? inner_->sync() : base::Status{};
    }
    base::Status truncate(std::uint64_t bytes) override {
        const auto error = owner_.check(Operation::kTruncate, path_);
        return error ? *error : inner_->truncate(bytes);
    }
    base::Status reserve(std::uint64_t bytes) override {
        auto error = owner_.check(Operation::kReserve, path_);
        if (error && error->os_errno == EOPNOTSUPP) {
            error->kind = base::ErrorKind::kInvalid;  // as the seam says
        }
        return error ? *error : inner_->reserve(bytes);
    }
    base::Status drop_cache() override {
        const auto error = owner_.check(Operation::kDropCache, path_);
        return error ? *error : inner_->drop_cache();
    }
    base::Status set_permissions(std::uint32_t mode) override {
        const auto error = owner_.check(Operation::kSetPermissions, path_);
        return error ? *error : inner_->set_permissions(mode);
    }
    base::Result<FileStatus> status() override {
        if (auto error = owner_.check(Operation::kFileStatus, path_)) {
            return *error;
        }
        return inner_->status();
    }
    base::Status lock_exclusive() override {
        const auto error = owner_.check(Operation::kLock, path_);
        return error ? *error : inner_->lock_exclusive();
    }
    base::Status close() override {
        const auto error = owner_.check(Operation::kClose, path_);
        return error ? *error : inner_->close();
    }
    [[nodiscard]] int descriptor() const override { return inner_->descriptor(); }

private:
    static std::span<const std::byte> half(std::span<const std::byte> bytes) {
        return bytes.first(bytes.size() > 1 ? bytes.size() / 2 : bytes.size());
    }

    FaultFileSystem& owner_;
    std::unique_ptr<File> inner_;
    std::string path_;
};

inline base::Result<std::unique_ptr<File>> FaultFileSystem::open(const std::string& path,
                                                                 const OpenOptions& options) {
    if (auto error = check(Operation::kOpen, path)) {
        return *error;
    }
    base::Result<std::unique_ptr<File>> file = inner_.open(path, options);
    if (!file.ok()) {
        return file;
    }
    return std::unique_ptr<File>(std::make_unique<FaultFile>(*this, std::move(file).value(), path));
}

}  // namespace holdfast::fs
