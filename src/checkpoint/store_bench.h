// What saving and loading one state takes on a disk, beside what the disk gives when the same bytes
// are merely written and read: the measuring behind `holdfast bench checkpoint`.
//
// Works in a hidden folder that it makes and removes. Every call is one measurement, blocks for as
// long as the disk needs, and answers seconds; the caller repeats them, in turns, and makes the
// statistics. Raw writing and reading use the block size of the store (kChunkBytes) and O_DIRECT
// where it works here; plain reads and loads share files, threads and kind of memory (freshly
// mapped), so that they differ by the checksums and the copying alone. Errors as the store's.
// One thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "checkpoint/pending_save.h"
#include "checkpoint/run_directory.h"
#include "checkpoint/transfer_buffers.h"
#include "fs/file_system.h"

namespace holdfast::checkpoint {

struct BenchedSave {
    SaveSeconds files;
    double publish_seconds = 0;
    double whole_seconds = 0;  // from the space check to the durable name
};

// Where a read finds its bytes.
enum class ReadFrom { kDevice, kCache };

class StoreBench {
public:
    // `model` and `optimizer` are the state that is saved; they must outlive this, as must
    // `file_system`. kNotFound without `parent`; kNoSpace when the disk cannot take
    // disk_bytes_needed().
    static base::Result<std::unique_ptr<StoreBench>> open(fs::FileSystem& file_system,
                                                          const std::string& parent,
                                                          std::vector<TensorSource> model,
                                                          std::vector<TensorSource> optimizer);
    static std::uint64_t disk_bytes_needed(std::uint64_t state_bytes);

    // A file of the state's size, from one buffer that is already in memory: reserve, write, fsync.
    base::Result<double> write_raw();
    // That file, by one thread, into one buffer.
    base::Result<double> read_raw();
    // Saves and publishes as a run does; the save before it is removed first, outside the time.
    base::Result<BenchedSave> save();
    // The bytes of the saved tensor files into freshly mapped memory, not looked at.
    base::Result<double> read_plain(ReadFrom from, int thread_count);
    // Opens the saved checkpoint and loads all of it into freshly mapped memory; what arrives is
    // compared with the state, outside the time: kCorrupt when it differs.
    base::Result<double> load(ReadFrom from, int thread_count);
    // Makes `count` checkpoints that share the saved one's tensor files, outside the time, and
    // scans them.
    base::Result<double> scan(int count);

    // Whether the bytes go past the page cache here: kDevice once write_raw() has seen O_DIRECT
    // work.
    [[nodiscard]] Readback disk_path() const {
        return direct_ ? Readback::kDevice : Readback::kCache;
    }
    [[nodiscard]] const std::string& directory() const { return directory_; }

    // Removes the folder with all in it. The destructor does too, and cannot report.
    base::Status remove();
    ~StoreBench();
    StoreBench(const StoreBench&) = delete;
    StoreBench& operator=(const StoreBench&) = delete;
    StoreBench(StoreBench&&) = delete;
    StoreBench& operator=(StoreBench&&) = delete;

private:
    StoreBench(fs::FileSystem& file_system,
               std::string directory,
               std::vector<TensorSource> model,
               std::vector<TensorSource> optimizer);
    base::Status open_store();
    base::Result<double> write_raw_once(bool direct);
    base::Result<std::unique_ptr<fs::File>> open_for_reading(const std::string& path,
                                                             ReadFrom from);
    [[nodiscard]] std::uint64_t state_bytes() const;
    base::Status make_entry(const Manifest& manifest);

    fs::FileSystem& file_system_;
    std::string directory_;
    std::vector<TensorSource> model_;
    std::vector<TensorSource> optimizer_;
    TransferBuffers buffers_;
    bool direct_ = true;
    std::optional<OpenedRun> store_;
    std::optional<PublishedCheckpoint> saved_;
};

}  // namespace holdfast::checkpoint
