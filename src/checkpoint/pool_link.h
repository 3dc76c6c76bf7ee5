// An entry joins another pool: hard links, or verified copies where links are not supported or
// the pool is a backup, through the same pending directory, rename and fsyncs as a save.
#pragma once

#include "base/result.h"
#include "checkpoint/pending_save.h"
#include "checkpoint/run_paths.h"
#include "checkpoint/transfer_buffers.h"
#include "fs/file_system.h"

namespace holdfast::checkpoint {

// `source_path` is the directory of a published entry and `manifest` its manifest. On failure the
// store is unchanged. When the pool already holds this identity under its own name, answers that
// one. Copies are compared with the manifest while they are made (kCorrupt: the source is damaged)
// and read back. Blocks on the disk; one thread at a time.
base::Result<PublishedCheckpoint> link_into(fs::FileSystem& file_system,
                                            const RunPaths& paths,
                                            const std::string& source_path,
                                            const Manifest& manifest,
                                            Pool pool,
                                            TransferBuffers& buffers);

}  // namespace holdfast::checkpoint
