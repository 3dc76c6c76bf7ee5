#include "telemetry/patient_file.h"

#include <algorithm>
#include <cerrno>
#include <span>
#include <utility>
#include <vector>

#include "base/log.h"
#include "fs/durable_write.h"

namespace holdfast::telemetry {

namespace {

constexpr std::size_t kReadBytes = std::size_t{1} << 20U;

}  // namespace

PatientFile::PatientFile(fs::FileSystem& file_system,
                         std::string path,
                         std::unique_ptr<fs::File> file,
                         std::size_t waiting_bytes_max)
    : file_system_(file_system),
      path_(std::move(path)),
      waiting_bytes_max_(waiting_bytes_max),
      file_(std::move(file)) {}

// What still waits is lost here; sync() is where an owner learns of it.
PatientFile::~PatientFile() = default;

base::Result<std::unique_ptr<PatientFile>> PatientFile::open(fs::FileSystem& file_system,
                                                             const std::string& path,
                                                             std::size_t waiting_bytes_max) {
    auto file = file_system.open(path, {.mode = fs::OpenMode::kOpenOrCreate});
    if (!file.ok()) {
        return file.error();
    }
    std::unique_ptr<PatientFile> patient(
        new PatientFile(file_system, path, std::move(file).value(), waiting_bytes_max));
    if (auto read = patient->read_checksum(); !read.ok()) {
        return read.error();
    }
    return patient;
}

base::Status PatientFile::read_checksum() {
    const auto status = file_->status();
    if (!status.ok()) {
        return status.error();
    }
    const std::uint64_t bytes = status.value().bytes;
    std::vector<std::byte> buffer(
        static_cast<std::size_t>(std::min<std::uint64_t>(bytes, kReadBytes)));
    while (written_bytes_ < bytes) {
        const auto piece = std::span(buffer).first(static_cast<std::size_t>(
            std::min<std::uint64_t>(buffer.size(), bytes - written_bytes_)));
        if (auto read = fs::read_exactly(*file_, piece, written_bytes_, path_); !read.ok()) {
            return read;
        }
        checksum_.update(piece);
        written_bytes_ += piece.size();
    }
    return {};
}

bool PatientFile::append(std::string_view record) {
    const std::lock_guard lock(mutex_);
    if (waiting_.size() + record.size() > waiting_bytes_max_) {
        note_outcome(write_waiting());
        if (waiting_.size() + record.size() > waiting_bytes_max_) {
            ++refused_records_;
            return false;
        }
    }
    waiting_ += record;
    checksum_.update(record);
    note_outcome(write_waiting());
    return true;
}

base::Status PatientFile::write_waiting() {
    std::size_t done = 0;
    base::Status outcome;
    while (done < waiting_.size()) {
        const auto rest = std::as_bytes(std::span(waiting_)).subspan(done);
        const auto written = file_->write_at(rest, written_bytes_);
        if (!written.ok() && written.error().os_errno == EINTR) {
            continue;
        }
        if (!written.ok()) {
            outcome = written.error();
            break;
        }
        if (written.value() == 0) {
            outcome =
                base::Error{base::ErrorKind::kNoSpace, "cannot write " + path_ + ": no space"};
            break;
        }
        done += written.value();
        written_bytes_ += written.value();
    }
    waiting_.erase(0, done);
    return outcome;
}

void PatientFile::note_outcome(const base::Status& status) {
    if (!status.ok() && !failing_) {
        base::log_warning(
            "{}; what is new for {} is kept in memory and tried again", status.error().what, path_);
    } else if (status.ok() && failing_) {
        base::log_info("{} can be written again{}",
                       path_,
                       refused_records_ == 0
                           ? std::string()
                           : fmt::format("; {} records were lost meanwhile", refused_records_));
    }
    failing_ = !status.ok();
}

bool PatientFile::is_in_its_place() {
    const auto here = file_->status();
    const auto target = fs::follow_symlinks(file_system_, path_);
    if (!target.ok()) {
        return true;  // as below
    }
    const auto there = file_system_.status(target.value());
    if (!here.ok() || (!there.ok() && there.error().kind != base::ErrorKind::kNotFound)) {
        return true;  // not known: the writing itself will tell
    }
    return there.ok() && here.value().device == there.value().device &&
           here.value().inode == there.value().inode;
}

base::Status PatientFile::sync() {
    const std::lock_guard one_at_a_time(sync_mutex_);
    {
        const std::lock_guard lock(mutex_);
        distrusted_ = distrusted_ || !is_in_its_place();
        base::Status written = distrusted_ ? rewrite() : write_waiting();
        note_outcome(written);
        if (!written.ok()) {
            return written;
        }
        if (std::exchange(distrusted_, false)) {
            return {};  // replace_file() has made it durable
        }
    }
    // Only rewrite(), under sync_mutex_, replaces file_, so it may be used without mutex_.
    base::Status synced = file_->sync();
    distrusted_ = !synced.ok();
    return synced;
}

base::Status PatientFile::rewrite() {
    std::string bytes(static_cast<std::size_t>(written_bytes_), '\0');
    if (auto read = fs::read_exactly(*file_, std::as_writable_bytes(std::span(bytes)), 0, path_);
        !read.ok()) {
        return read;
    }
    bytes += waiting_;
    const bool intact = base::checksum64(bytes) == checksum_.digest64();
    // A symlink is the user's, and stays one.
    const auto target = fs::follow_symlinks(file_system_, path_);
    if (!target.ok()) {
        return target.error();
    }
    if (auto replaced = fs::replace_file(file_system_, target.value(), bytes); !replaced.ok()) {
        return replaced;
    }
    auto file = file_system_.open(path_, {.mode = fs::OpenMode::kReadWrite});
    if (!file.ok()) {
        return file.error();
    }
    file_ = std::move(file).value();
    written_bytes_ = bytes.size();
    waiting_.clear();
    if (!intact) {
        // Nothing can bring the lost bytes back: go on from what the disk has, told once.
        distrusted_ = false;
        checksum_.reset();
        checksum_.update(bytes);
        return base::Error{base::ErrorKind::kCorrupt,
                           path_ + " lost bytes that the disk had accepted before a failed fsync"};
    }
    return {};
}

LogPosition PatientFile::position() const {
    const std::lock_guard lock(mutex_);
    return LogPosition{written_bytes_ + waiting_.size(), checksum_.digest64()};
}

std::size_t PatientFile::waiting_bytes() const {
    const std::lock_guard lock(mutex_);
    return waiting_.size();
}

std::int64_t PatientFile::refused_records() const {
    const std::lock_guard lock(mutex_);
    return refused_records_;
}

}  // namespace holdfast::telemetry
