// An entry joins another pool: hard links, or verified copies where links are not supported or
// the pool is a backup, through the same pending directory, rename and fsyncs as a save.
#pragma once

#include "base/result.h"
#include "checkpoint/entry_copy.h"
#include "checkpoint/pending_save.h"
#include "checkpoint/run_paths.h"
#include "checkpoint/transfer_buffers.h"
#include "fs/file_system.h"

namespace holdfast::checkpoint {

// `source_path` is the directory of a published entry and `manifest` its manifest. On failure the
// store is unchanged. When the pool already holds this identity under its own name, answers that
// one. A backup pool gets copies whatever `sharing` says; how they are made, and the errors, are
// those of fill_entry(). `go_on` is asked once more just before the name is given. Blocks on the
// disk; one thread at a time.
base::Result<PublishedCheckpoint> link_into(fs::FileSystem& file_system,
                                            const RunPaths& paths,
                                            const std::string& source_path,
                                            const Manifest& manifest,
                                            Pool pool,
                                            TransferBuffers& buffers,
                                            Sharing sharing = Sharing::kLinks,
                                            const GoOn& go_on = {});

}  // namespace holdfast::checkpoint
