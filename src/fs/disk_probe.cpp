#include "fs/disk_probe.h"

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>
#include <span>
#include <utility>
#include <vector>

#include <unistd.h>

#include <fmt/format.h>

#include "base/clock.h"
#include "fs/durable_write.h"

namespace holdfast::fs {

using base::Error;
using base::ErrorKind;
using base::Result;
using base::Status;

namespace {

constexpr std::size_t kPieceBytes = std::size_t{1} << 20U;
constexpr std::size_t kAlignment = 4096;  // of direct reads

struct AlignedDelete {
    void operator()(std::byte* bytes) const {
        ::operator delete[](bytes, std::align_val_t{kAlignment});
    }
};

// A piece in memory that a direct read may fill.
class Piece {
public:
    Piece()
        : bytes_(static_cast<std::byte*>(
              ::operator new[](kPieceBytes, std::align_val_t{kAlignment}))) {}
    [[nodiscard]] std::span<std::byte> span() const { return {bytes_.get(), kPieceBytes}; }
    // What stands at place `number` of the file.
    void fill(std::uint64_t number) const {
        std::uint64_t value = number * 0x9e3779b97f4a7c15ULL + 1;
        for (std::byte& byte : span()) {
            value ^= value << 13U;
            value ^= value >> 7U;
            value ^= value << 17U;
            byte = static_cast<std::byte>(value & 0xffU);
        }
    }

private:
    std::unique_ptr<std::byte[], AlignedDelete> bytes_;
};

class Probe {
public:
    Probe(FileSystem& file_system, std::string folder, std::uint64_t bytes)
        : file_system_(file_system), folder_(std::move(folder)) {
        probe_.bytes = std::max<std::uint64_t>(bytes / kPieceBytes, 1) * kPieceBytes;
    }

    Result<DiskProbe> run() {
        for (const auto step : {&Probe::write, &Probe::read_back, &Probe::names, &Probe::small}) {
            if (Status done = (this->*step)(); !done.ok()) {
                return done.error();
            }
        }
        return probe_;
    }

private:
    [[nodiscard]] std::string path(const char* name) const { return join(folder_, name); }

    Status write() {
        Result<std::unique_ptr<File>> file =
            file_system_.open(path("data"), {.mode = OpenMode::kCreateNew});
        if (!file.ok()) {
            return file.error();
        }
        File& data = *file.value();
        probe_.has_reservation = data.reserve(probe_.bytes).ok();
        probe_.has_locks = data.lock_exclusive().ok();
        const Piece piece;
        double seconds = 0;
        for (std::uint64_t offset = 0; offset < probe_.bytes; offset += kPieceBytes) {
            piece.fill(offset / kPieceBytes);
            const double begin_seconds = base::monotonic_seconds();
            if (Status written = write_all(data, piece.span(), offset); !written.ok()) {
                return written;
            }
            seconds += base::monotonic_seconds() - begin_seconds;
        }
        const double begin_seconds = base::monotonic_seconds();
        if (Status synced = data.sync(); !synced.ok()) {
            return synced;
        }
        probe_.write_seconds = seconds + base::monotonic_seconds() - begin_seconds;
        static_cast<void>(data.drop_cache().ok());  // a hint
        return data.close();
    }

    Status read_back() {
        Result<std::unique_ptr<File>> file =
            file_system_.open(path("data"), {.mode = OpenMode::kRead, .direct = true});
        const Piece piece;
        // Some file systems take the flag and refuse the read.
        probe_.has_direct_reads = file.ok() && file.value()->read_at(piece.span(), 0).ok();
        if (!probe_.has_direct_reads) {
            file = file_system_.open(path("data"), {.mode = OpenMode::kRead});
        }
        if (!file.ok()) {
            return file.error();
        }
        const Piece expected;
        for (std::uint64_t offset = 0; offset < probe_.bytes; offset += kPieceBytes) {
            const double begin_seconds = base::monotonic_seconds();
            Status read = read_exactly(*file.value(), piece.span(), offset, path("data"));
            probe_.read_seconds += base::monotonic_seconds() - begin_seconds;
            if (!read.ok()) {
                return read;
            }
            expected.fill(offset / kPieceBytes);
            if (!std::equal(piece.span().begin(), piece.span().end(), expected.span().begin())) {
                return Error{ErrorKind::kCorrupt,
                             fmt::format("{}: other bytes came back than were written, in the "
                                         "MiB at {}: this disk cannot be trusted",
                                         path("data"),
                                         offset),
                             0};
            }
        }
        return {};
    }

    Status names() {
        if (Status moved =
                file_system_.rename(path("data"), path("renamed"), RenameMode::kNoReplace);
            !moved.ok()) {
            return moved;
        }
        probe_.has_hard_links = file_system_.hard_link(path("renamed"), path("linked")).ok();
        probe_.has_symlinks = file_system_.make_symlink("renamed", path("symlink")).ok();
        return file_system_.sync_directory(folder_);
    }

    Status small() {
        const double begin_seconds = base::monotonic_seconds();
        Status written = replace_file(file_system_, path("small"), "as long as a pointer\n");
        probe_.sync_seconds = base::monotonic_seconds() - begin_seconds;
        return written;
    }

    FileSystem& file_system_;
    std::string folder_;
    DiskProbe probe_;
};

Status clear(FileSystem& file_system, const std::string& folder) {
    const Result<std::vector<std::string>> names = file_system.list(folder);
    if (!names.ok()) {
        return names.error();
    }
    for (const std::string& name : names.value()) {
        if (Status removed = file_system.remove_file(join(folder, name)); !removed.ok()) {
            return removed;
        }
    }
    return file_system.remove_directory(folder);
}

}  // namespace

Result<DiskProbe> probe_disk(FileSystem& file_system,
                             const std::string& directory,
                             std::uint64_t bytes) {
    const std::string folder = join(directory, fmt::format(".holdfast-probe-{}", ::getpid()));
    if (Status made = file_system.make_directory(folder); !made.ok()) {
        return made.error();
    }
    Result<DiskProbe> probe = Probe(file_system, folder, bytes).run();
    const Status cleared = clear(file_system, folder);
    if (probe.ok() && !cleared.ok()) {
        return cleared.error();
    }
    return probe;
}

}  // namespace holdfast::fs
