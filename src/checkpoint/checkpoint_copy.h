// A checkpoint copied to another place: real files, never links or shared blocks.
//
// All files of the source are open before the first byte is believed and each chunk is compared
// with the manifest while it is copied, so the source may belong to a live run. The copy is made
// under `.copying-<id>` beside its target, synced, read back past the cache where the disk allows,
// and renamed at the end: the target is whole or it does not exist.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/result.h"
#include "checkpoint/catalog.h"
#include "checkpoint/manifest.h"
#include "checkpoint/transfer_buffers.h"
#include "fs/file_system.h"

namespace holdfast::checkpoint {

struct CopiedCheckpoint {
    std::string path;
    Manifest manifest;
    std::uint64_t bytes = 0;               // of all files
    Readback readback = Readback::kCache;  // of the copy
};

// Where the copy of an entry goes: `target` itself when nothing is there, `<target>/<name>` when it
// is a directory. kExists when that is taken; kInvalid when `target` is a checkpoint itself, or the
// copy would come to lie in a pool of a run, which its trainer would then rotate; kNotFound when
// its parent is not there.
base::Result<std::string> copy_target(fs::FileSystem& file_system,
                                      const std::string& target,
                                      const std::string& name);

// `path` as copy_target() answered. kNotFound "rotated away" and kCorrupt speak of the source,
// kNoSpace of the target. On failure nothing is left behind, or a `.copying-<id>` that could not be
// removed. `on_bytes` is told how many more bytes were written. Blocks; one thread at a time.
base::Result<CopiedCheckpoint> copy_checkpoint(
    fs::FileSystem& file_system,
    const Entry& source,
    const std::string& path,
    TransferBuffers& buffers,
    const std::function<void(std::uint64_t)>& on_bytes = {});

}  // namespace holdfast::checkpoint
