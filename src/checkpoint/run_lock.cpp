#include "checkpoint/run_lock.h"

#include <array>
#include <utility>

#include <unistd.h>

#include <fmt/format.h>

#include "base/clock.h"
#include "base/log.h"
#include "fs/durable_write.h"

namespace holdfast::checkpoint {

using base::Error;
using base::ErrorKind;
using base::Result;
using base::Status;

namespace {

constexpr std::uint64_t kHolderBytesMax = 4096;

std::string holder_text() {
    std::array<char, 256> host{};
    if (::gethostname(host.data(), host.size() - 1) != 0) {
        host[0] = '?';
    }
    return fmt::format("host {}, process {}, since {}\n",
                       host.data(),
                       ::getpid(),
                       base::utc_iso8601(base::utc_seconds_now()));
}

std::string holder_of(fs::FileSystem& file_system, const std::string& path) {
    Result<std::string> text = fs::read_file(file_system, path, kHolderBytesMax);
    if (!text.ok() || text.value().empty()) {
        return "an unknown process";
    }
    std::string holder = std::move(text).value();
    holder.erase(holder.find_last_not_of('\n') + 1);
    return holder;
}

}  // namespace

RunLock::RunLock(fs::FileSystem& file_system, std::string path, std::unique_ptr<fs::File> file)
    : file_system_(&file_system), path_(std::move(path)), file_(std::move(file)) {}

Status RunLock::adopt_inode() {
    const Result<fs::FileStatus> status = file_->status();
    if (!status.ok()) {
        return status.error();
    }
    device_ = status.value().device;
    inode_ = status.value().inode;
    return still_held();
}

void RunLock::write_holder() const {
    const std::string text = holder_text();
    // For the message of the next who comes; the lock does not depend on it.
    if (!file_->truncate(0).ok() ||
        !fs::write_all(*file_, std::as_bytes(std::span(text)), 0).ok()) {
        base::log_warning("{} does not say who holds it: it could not be written", path_);
    }
}

Result<RunLock> RunLock::take(fs::FileSystem& file_system,
                              const RunPaths& paths,
                              bool allow_unlocked) {
    const std::string path = paths.in_run(kLockName);
    Result<std::unique_ptr<fs::File>> file =
        file_system.open(path, fs::OpenOptions{.mode = fs::OpenMode::kOpenOrCreate});
    if (!file.ok()) {
        return file.error().within("locking the run");
    }
    const Status locked = file.value()->lock_exclusive();
    if (!locked.ok() && locked.error().kind == ErrorKind::kBusy) {
        return Error{ErrorKind::kBusy,
                     fmt::format("{} is in use by {}: wait for it or stop it, or choose another "
                                 "checkpoint directory",
                                 paths.directory,
                                 holder_of(file_system, path)),
                     locked.error().os_errno};
    }
    if (!locked.ok() && !allow_unlocked) {
        return Error{ErrorKind::kInvalid,
                     fmt::format("{} cannot be locked ({}): a second trainer there would not be "
                                 "noticed; --allow-unlocked goes on without",
                                 path,
                                 locked.error().what),
                     locked.error().os_errno};
    }
    RunLock lock(file_system, path, std::move(file).value());
    lock.locked_ = locked.ok();
    if (const Status held = lock.adopt_inode(); !held.ok()) {
        return held.error();
    }
    lock.write_holder();
    return lock;
}

Status RunLock::still_held() const {
    const Result<fs::FileStatus> status = file_system_->status(path_);
    if (!status.ok() && status.error().kind != ErrorKind::kNotFound) {
        return status.error();
    }
    if (!status.ok() || status.value().device != device_ || status.value().inode != inode_) {
        return Error{ErrorKind::kBusy,
                     fmt::format("{} is no longer the file this run locked: the directory was "
                                 "removed or replaced, nothing more is written there",
                                 path_),
                     0};
    }
    return Status{};
}

int RunLock::descriptor() const {
    return locked_ ? file_->descriptor() : -1;
}

}  // namespace holdfast::checkpoint
