// Carries deletions out, and tidies what crashes left: never fatal, always told.
//
// A deletion is a rename into .trash (from that instant the entry does not exist), fsync of both
// parents, then the files, then a look that the name is gone and the link counts fell. Whatever
// stays in .trash, or in its pool, is tried again by the next pass and holds nothing else up. The
// caller holds the run lock. Blocks on the disk; one thread at a time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "checkpoint/catalog.h"
#include "checkpoint/retention.h"
#include "checkpoint/run_paths.h"
#include "checkpoint/transfer_buffers.h"
#include "fs/file_system.h"

namespace holdfast::checkpoint {

struct ReclaimReport {
    std::vector<std::string> deleted;    // "rolling/step_00000250"
    std::uint64_t freed_bytes = 0;       // blocks whose last link went
    std::uint64_t held_bytes = 0;        // blocks still held by another pool
    std::vector<std::string> completed;  // "keep/step_00010000": owed pools served
    std::vector<std::string> failures;   // one line each; tried again by the next pass

    void merge(ReclaimReport other);
};

class Reclaimer {
public:
    Reclaimer(fs::FileSystem& file_system, RunPaths paths);

    ReclaimReport execute(const std::vector<Deletion>& deletions);
    // Empties .trash and removes .pending-* directories except `live_save_id`'s, on the side of the
    // store that `side` belongs to: the run's pools or the backups. The other side is another
    // thread's, and may be another run's.
    ReclaimReport clear_leftovers(std::string_view live_save_id = {}, Pool side = Pool::kRolling);
    // By hand only (checkpoints clean): what was put aside as damaged, by the same way through
    // .trash; and what a crash left of small files that were being replaced. On one side each.
    ReclaimReport clear_quarantine(Pool side = Pool::kRolling);
    ReclaimReport clear_temporaries(Pool side = Pool::kRolling);
    // Links every entry of `catalog` (of the run's pools) into the pools it still owes.
    ReclaimReport complete_owed(const Catalog& catalog, TransferBuffers& buffers);

private:
    base::Status move_to_trash(const std::string& folder,
                               const std::string& name,
                               const std::string& trash,
                               std::string& trash_path);
    void remove_from(const std::string& folder,
                     const std::string& name,
                     const std::string& trash,
                     const std::string& label,
                     ReclaimReport& report);
    void empty_trash(Pool side, const std::vector<std::string>& names, ReclaimReport& report);
    void remove(const std::string& path, ReclaimReport& report);

    fs::FileSystem& file_system_;
    RunPaths paths_;
};

}  // namespace holdfast::checkpoint
