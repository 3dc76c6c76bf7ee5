// A pending save: one checkpoint being written, invisible to readers until publish().
//
// Owns the hidden directory `<run>/.pending-<save id>` and every file in it. Knows names, bytes and
// checksums; knows nothing of what the tensors mean, or which pool it will live in.
//
// State:  OPEN --add(), create_shared(), adopt()--> OPEN --seal()--> SEALED --publish()-->
// PUBLISHED
//         any failure, or the destructor before publish() -> directory removed, store unchanged.
// After a failure every further call answers kInvalid; a new save under a new id is needed (after a
// failed fsync the kernel may have dropped pages, so nothing is ever synced twice).
//
// Each tensor file is streamed from the caller's memory through two aligned buffers (a second
// thread writes while this one copies and hashes), with O_DIRECT where the file system takes it,
// else buffered, fsync and DONTNEED; then read back and compared by chunk checksum.
//
// When several ranks write one checkpoint, one of them has the pending save: create_shared(), then
// all ranks write (rank_part.h) while it waits, then adopt() takes what they answered. A rank that
// failed or never answers: drop the pending save. Errors:
// kNoSpace (disk or quota), kIo, kCorrupt (read back other than written), kInvalid (names, sizes).
// Invariants C1-C4 of docs/checkpoint-format.md. One thread at a time; every call may block on the
// disk.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "checkpoint/checkpoint_name.h"
#include "checkpoint/manifest.h"
#include "checkpoint/part_record.h"
#include "checkpoint/run_paths.h"
#include "checkpoint/safetensors.h"
#include "checkpoint/save_seconds.h"
#include "checkpoint/tensor_file.h"
#include "checkpoint/transfer_buffers.h"
#include "fs/file_system.h"

namespace holdfast::checkpoint {

// A checkpoint that exists: what publish() and link_into() answer.
struct PublishedCheckpoint {
    Pool pool = Pool::kRolling;
    std::string name;  // in the pool
    std::string path;
    Manifest manifest;
};

// Free space that a save must leave untouched.
inline constexpr std::uint64_t kSpaceMarginBytes = 16ULL << 20U;

class PendingSave {
public:
    // Checks the space, then makes the directory, on the disk of `pool_disk` (the pool it will be
    // published into, or any pool of the same disk). `bytes_expected` is the sum of the tensor
    // bytes to come, of all ranks: kNoSpace at once if the disk cannot take it and
    // kSpaceMarginBytes. `file_system` and `buffers` must outlive this object.
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

    // Makes a safetensors file that ranks will fill, header written and blocks reserved; answers
    // where its tensors lie, as lay_out_safetensors() does. Before adopt().
    base::Result<SafetensorsHeader> create_shared(std::string_view file_name,
                                                  std::span<const TensorInfo> tensors,
                                                  const SafetensorsMetadata& metadata = {
                                                      {"format", "pt"}});

    // Takes the answers of all ranks, which are what others say and are held against the disk:
    // they must be of this save and of the ranks 0 .. n - 1, one each; their pieces and the header
    // must tile each shared file, no file may be named twice, and each must be there with its
    // length. Else kCorrupt, naming rank and file or byte. Once.
    base::Status adopt(std::span<const PartRecord> parts);

    // Writes the manifest (files and readback filled in here; identity.save_id must be the id of
    // this save), fsyncs and reads it back, fsyncs the directory. kCorrupt when the directory holds
    // a file that nobody named. No add() after this. The caller
    // has synced metrics.jsonl up to manifest.log before.
    base::Status seal(Manifest manifest);

    // The one step that makes the checkpoint exist: rename without replacing into the pool, fsync
    // of both parents. A taken name is not an error: the next free suffix is used. After success it
    // survives power loss. If an fsync after the rename fails, the entry is taken back.
    base::Result<PublishedCheckpoint> publish(Pool pool) &&;

    [[nodiscard]] const std::string& save_id() const;
    // What the other ranks are to be told: RankPart::join().
    [[nodiscard]] const std::string& directory() const;
    // Of the files that are complete; manifest included once sealed. What other ranks spent is not
    // in it.
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

}  // namespace holdfast::checkpoint
