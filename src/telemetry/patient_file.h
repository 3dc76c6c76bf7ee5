// A file that only grows, written by somebody who must not be stopped by a full disk.
//
// append() never fails: what the disk does not take stays in bounded memory and is tried again at
// the next append() or sync(). Writes are positional, so trying again after an unclear error
// rewrites the same bytes at the same place. The first failure of a row is a warning in the log
// (kind and path), so is its end; in between it is silent. When memory is full too, whole records
// are refused and counted.
//
// Threads: append() by any thread; sync() may run beside it (the fsync holds no lock). One process
// at a time: the run's lock sees to that.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "base/checksum.h"
#include "base/result.h"
#include "fs/file_system.h"

namespace holdfast::telemetry {

// How far a file has come: its length and the XXH3-64 of all its bytes.
struct LogPosition {
    std::uint64_t bytes = 0;
    std::uint64_t checksum = base::checksum64(std::string_view());

    bool operator==(const LogPosition&) const = default;
};

class PatientFile {
public:
    // Opens `path` (made when missing) to continue at its end, and reads it once for its checksum.
    // `file_system` must outlive this.
    // Errors: what the seam says; nothing is written.
    static base::Result<std::unique_ptr<PatientFile>> open(fs::FileSystem& file_system,
                                                           const std::string& path,
                                                           std::size_t waiting_bytes_max = 16U
                                                                                           << 20U);
    ~PatientFile();
    PatientFile(const PatientFile&) = delete;
    PatientFile& operator=(const PatientFile&) = delete;

    // Takes the record, whole or not at all. False: memory is full and the record was refused.
    bool append(std::string_view record);

    // Writes what waits, then fsyncs. After a failed fsync the kernel may have forgotten the data,
    // so the next sync() reads the file back, compares its checksum, writes the whole anew beside
    // it and renames that over; it does so too when the path no longer leads to this file (it was
    // deleted or replaced under the program). Errors: what the seam says; kCorrupt once when bytes
    // were lost that way. The records that wait stay.
    base::Status sync();

    // Of all records accepted so far, those that wait included; the file holds them all when
    // waiting_bytes() is 0.
    [[nodiscard]] LogPosition position() const;
    [[nodiscard]] std::size_t waiting_bytes() const;
    [[nodiscard]] std::int64_t refused_records() const;
    [[nodiscard]] const std::string& path() const { return path_; }

private:
    PatientFile(fs::FileSystem& file_system,
                std::string path,
                std::unique_ptr<fs::File> file,
                std::size_t waiting_bytes_max);

    base::Status read_checksum();
    bool is_in_its_place();  // mutex_ held

    base::Status write_waiting();                   // mutex_ held
    base::Status rewrite();                         // sync_mutex_ and mutex_ held
    void note_outcome(const base::Status& status);  // mutex_ held

    fs::FileSystem& file_system_;
    const std::string path_;
    const std::size_t waiting_bytes_max_;

    mutable std::mutex mutex_;  // guards all below
    std::unique_ptr<fs::File> file_;
    std::uint64_t written_bytes_ = 0;
    base::StreamingChecksum checksum_;  // of written and waiting bytes
    std::string waiting_;
    std::int64_t refused_records_ = 0;
    bool failing_ = false;

    std::mutex sync_mutex_;  // one sync() at a time; taken before mutex_
    bool distrusted_ = false;
};

}  // namespace holdfast::telemetry
