// A run directory opened for training: layout, identity, lock, and the fixed order of a save.
//
// open_run() decides where a run lives (design of --resume): same identity -> go on; nothing
// published -> start in place; another identity -> a new directory `<dir>_run_YYYYMMDD_HHMMSS`.
// `auto` looks at `<dir>` and every `<dir>_run_*` and takes the newest of this identity. All
// folders exist from the start. One thread at a time (the trainer opens, then the saver owns it).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "checkpoint/catalog.h"
#include "checkpoint/checkpoint_config.h"
#include "checkpoint/directory_mark.h"
#include "checkpoint/pending_save.h"
#include "checkpoint/reclaim.h"
#include "checkpoint/resume_request.h"
#include "checkpoint/retention.h"
#include "checkpoint/run_identity.h"
#include "checkpoint/run_lock.h"
#include "checkpoint/run_paths.h"
#include "checkpoint/transfer_buffers.h"
#include "fs/file_system.h"

namespace holdfast::checkpoint {

// What make_room() did.
struct RoomReport {
    ReclaimReport reclaimed;
    // As many bytes were freed as were missing. When not, everything that may go is gone.
    bool is_enough = false;
};

class RunDirectory {
public:
    [[nodiscard]] const RunPaths& paths() const { return paths_; }
    [[nodiscard]] const RunIdentity& identity() const { return identity_; }
    [[nodiscard]] const RunLock& lock() const { return lock_; }
    [[nodiscard]] fs::FileSystem& file_system() const { return *file_system_; }
    [[nodiscard]] Catalog scan() const;

    // The run has other settings or other data from now on (a change the user allowed): run.json
    // is replaced durably. Checks the lock.
    base::Status record_change(const std::string& config, const std::string& data_fingerprint);

    // Whether the directory is still the one that was opened. One that was deleted is made again
    // and locked (true; what it held is lost: save now), which it is not when its disk went or
    // something else is in its place: kBusy says what is there, and nothing is written.
    base::Result<bool> ensure_there();

    // A save in its fixed order. begin_save() -> PendingSave::add, seal -> publish().
    base::Result<PendingSave> begin_save(const std::string& save_id,
                                         std::uint64_t bytes_expected,
                                         TransferBuffers& buffers) const;
    // Checks the lock, publishes, joins the owed pools, moves `latest`. An owed pool or `latest`
    // that fails is a warning in the log: the checkpoint exists, tidy() tries again.
    base::Result<PublishedCheckpoint> publish(PendingSave save,
                                              Pool pool,
                                              TransferBuffers& buffers) const;
    // Joins a further pool (best after an evaluation).
    base::Result<PublishedCheckpoint> link(const PublishedCheckpoint& checkpoint,
                                           Pool pool,
                                           TransferBuffers& buffers) const;
    // Checks the lock; serves owed pools, clears leftovers, then plans and carries out deletions.
    // Only after publish() succeeded and with no PendingSave of this run open. Nothing the disk
    // does is fatal: the report tells. Second copies are not looked at: their writer
    // (backup_writer.h) owns them.
    ReclaimReport tidy(const RetentionLimits& limits, TransferBuffers& buffers) const;
    // For a save of `bytes_wanted` (margin included) that the disk refused for want of space: frees
    // what is missing, leftovers first, then what checkpoint/space_relief lets go. Where the disk
    // says that there is space, a quota speaks: then all of `bytes_wanted` is missing. Checks the
    // lock; only with no PendingSave of this run open. An entry that cannot be deleted is reported
    // and the next one taken. Owed pools are not served: a copy would take the space.
    [[nodiscard]] RoomReport make_room(std::uint64_t bytes_wanted) const;

    RunDirectory(fs::FileSystem& file_system,
                 RunPaths paths,
                 RunIdentity identity,
                 RunLock lock,
                 DirectoryMark mark,
                 bool allow_unlocked);

private:
    fs::FileSystem* file_system_;
    RunPaths paths_;
    RunIdentity identity_;
    RunLock lock_;
    DirectoryMark mark_;
    bool allow_unlocked_;
};

struct OpenRunOptions {
    ResumeRequest resume;
    std::string directory;   // checkpoint.dir, resolved
    std::string backup_dir;  // checkpoint.backup_dir
    RunIdentity identity;  // of the run asked for; run_id and created are filled in when it is new
    IdentityDifferences differences;
    bool allow_unlocked = false;
    std::int64_t now_utc_seconds = 0;
};

struct OpenedRun {
    RunDirectory run;
    // Nothing is published to resume from (a new run, or one stopped before its first save).
    bool fresh = true;
    // What the user must know, one line each: a new directory and the one passed over, a rebuilt
    // run.json.
    std::vector<std::string> notes;
    // kPath naming a checkpoint: that entry. `chosen_is_external`: it lies outside every pool of
    // `run` and must be published anew before the first step.
    std::optional<Entry> chosen;
    bool chosen_is_external = false;
};

// Finds or makes the directory, takes the lock, completes owed pools and clears leftovers. Errors:
// kNotFound when the request must find something and does not; kBusy when another process holds the
// run; kIo / kInvalid when the directory cannot be written or is not a run directory. Nothing is
// changed before the lock is held, save for making missing folders of a new run.
base::Result<OpenedRun> open_run(fs::FileSystem& file_system,
                                 const OpenRunOptions& options,
                                 TransferBuffers& buffers);

// Points `latest` at an entry (a hint for people; programs scan).
base::Status update_latest(fs::FileSystem& file_system,
                           const RunPaths& paths,
                           Pool pool,
                           std::string_view name);

}  // namespace holdfast::checkpoint
