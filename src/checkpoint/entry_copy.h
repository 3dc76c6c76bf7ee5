// The files of a published entry under a further name: hard links, or real copies.
//
// A real copy is read, compared with the manifest chunk by chunk, written, synced, read back and
// compared again. All files of the source are open before the first byte is copied, so rotation
// cannot tear it (V3). One call after the other, all by the calling thread.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/result.h"
#include "checkpoint/manifest.h"
#include "checkpoint/transfer_buffers.h"
#include "fs/file_system.h"

namespace holdfast::checkpoint {

enum class Sharing {
    kLinks,   // hard links; copies where links are not supported
    kCopies,  // never a block in common
};

// Asked between two chunks of a copy: an error ends it. Empty: nothing is asked.
using GoOn = std::function<base::Status()>;

// Real copies of the files of the entry at `source` in the empty directory `target`, as
// fill_entry(). Answers how all of them were read back. `on_bytes` is told how many more bytes were
// copied.
base::Result<Readback> copy_entry(fs::FileSystem& file_system,
                                  const std::string& source,
                                  const std::string& target,
                                  const Manifest& manifest,
                                  TransferBuffers& buffers,
                                  const GoOn& go_on = {},
                                  const std::function<void(std::uint64_t)>& on_bytes = {});

// Fills the empty directory `target` with the files of the entry at `source`, whose manifest is
// `manifest`, and syncs it. On failure some of them may be there: the directory is the caller's to
// remove. kCorrupt: the source is damaged. kNotFound: it is gone. kNoSpace: the disk of `target`
// does not take the bytes and kSpaceMarginBytes. What the disk of `target` does otherwise is kIo.
base::Status fill_entry(fs::FileSystem& file_system,
                        const std::string& source,
                        const std::string& target,
                        const Manifest& manifest,
                        Sharing sharing,
                        TransferBuffers& buffers,
                        const GoOn& go_on = {});

}  // namespace holdfast::checkpoint
