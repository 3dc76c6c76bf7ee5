// A pending save: one checkpoint being written, invisible to readers until publish().
//
// Owns the hidden directory `<run>/.pending-<save id>` and every file in it. Knows names, bytes and
// checksums; knows nothing of what the tensors mean, of ranks, or which pool it will live in.
//
// State:  OPEN --add()--> OPEN --seal()--> SEALED --publish()--> PUBLISHED
//         any failure, or the destructor before publish() -> directory removed, store unchanged.
// After a failure every further call answers kInvalid; a new save under a new id is needed (after a
// failed fsync the kernel may have dropped pages, so nothing is ever synced twice).
//
// Each tensor file is streamed from the caller's memory through two aligned buffers (a second
// thread writes while this one copies and hashes), with O_DIRECT where the file system takes it,
// else buffered, fsync and DONTNEED; then read back and compared by chunk checksum. Errors:
// kNoSpace (disk or quota), kIo, kCorrupt (read back other than written), kInvalid (names, sizes).
// Invariants C1-C4 of docs/checkpoint-format.md. One thread at a time; every call may block on the
// disk.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "checkpoint/checkpoint_name.h"
#include "checkpoint/manifest.h"
#include "checkpoint/run_paths.h"
#include "checkpoint/safetensors.h"
#include "checkpoint/transfer_buffers.h"
#include "fs/file_system.h"

namespace holdfast::checkpoint {

// A tensor and where its bytes lie in host memory; borrowed during add() only.
struct TensorSource {
    TensorInfo info;
    std::span<const std::byte> bytes;
};

// A checkpoint that exists: what publish() and link_into() answer.
struct PublishedCheckpoint {
    Pool pool = Pool::kRolling;
    std::string name;  // in the pool
    std::string path;
    Manifest manifest;
};

// Where the time of a save went, summed over its files.
struct SaveSeconds {
    double write_seconds = 0;  // copying, hashing, writing, fsync
    double read_back_seconds = 0;
};

// Free space that a save must leave untouched.
inline constexpr std::uint64_t kSpaceMarginBytes = 16ULL << 20U;

class PendingSave {
public:
    // Checks the space, then makes the directory, on the disk of `pool_disk` (the pool it will be
    // published into, or any pool of the same disk). `bytes_expected` is the sum of the tensor
    // bytes to come: kNoSpace at once if the disk cannot take it and kSpaceMarginBytes.
    // `file_system` and `buffers` must outlive this object.
    static base::Result<PendingSave> open(fs::FileSystem& file_system,
                                          const RunPaths& paths,
                                          const std::string& save_id,
                                          std::uint64_t bytes_expected,
                                          TransferBuffers& buffers,
                                          Pool pool_disk = Pool::kRolling);

    // Writes one safetensors file, tensors in the given order. `file_name` must be new in this
    // save. Blocks are reserved first (fallocate). Returns when the file is on disk, verified.
    base::Status add(std::string_view file_name,
                     std::span<const TensorSource> tensors,
                     const SafetensorsMetadata& metadata = {{"format", "pt"}});

    // Writes the manifest (files and readback filled in here; identity.save_id must be the id of
    // this save), fsyncs and reads it back, fsyncs the directory. No add() after this. The caller
    // has synced metrics.jsonl up to manifest.log before.
    base::Status seal(Manifest manifest);

    // The one step that makes the checkpoint exist: rename without replacing into the pool, fsync
    // of both parents. A taken name is not an error: the next free suffix is used. After success it
    // survives power loss. If an fsync after the rename fails, the entry is taken back.
    base::Result<PublishedCheckpoint> publish(Pool pool) &&;

    [[nodiscard]] const std::string& save_id() const;
    // Of the files that are complete; manifest included once sealed.
    [[nodiscard]] SaveSeconds seconds() const;

    PendingSave(PendingSave&&) noexcept;
    PendingSave& operator=(PendingSave&&) noexcept;
    PendingSave(const PendingSave&) = delete;
    PendingSave& operator=(const PendingSave&) = delete;
    ~PendingSave();

private:
    struct State;
    explicit PendingSave(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

// Bytes a tensor file of these tensors takes, header included; for `bytes_expected` and plans.
base::Result<std::uint64_t> tensor_file_bytes(std::span<const TensorInfo> tensors,
                                              const SafetensorsMetadata& metadata = {
                                                  {"format", "pt"}});

}  // namespace holdfast::checkpoint
