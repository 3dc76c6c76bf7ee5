#include "cli/second_copies.h"

#include <algorithm>
#include <optional>

#include "base/clock.h"
#include "base/log.h"
#include "checkpoint/retention.h"

namespace holdfast::cli {

std::unique_ptr<checkpoint::BackupWriter> start_backup(const config::Settings& settings,
                                                       const checkpoint::RunDirectory& run,
                                                       bool is_wanted) {
    return is_wanted ? std::make_unique<checkpoint::BackupWriter>(
                           run, checkpoint::RetentionLimits::of(settings.checkpoint))
                     : nullptr;
}

bool finish_backup(checkpoint::BackupWriter& backup, const train::TrainerResult& result) {
    std::optional<double> seconds_left;
    if (result.deadline_seconds) {
        seconds_left = std::max(*result.deadline_seconds - base::monotonic_seconds(), 0.0);
    }
    // What is missing has been said; the run itself is safe without.
    static_cast<void>(backup.finish(seconds_left));
    const checkpoint::BackupStatus status = backup.status();
    if (status.skipped + status.failed + status.abandoned > 0) {
        base::log_warning(
            "second copies: {} made, {} skipped because the backup disk was behind, {} tries "
            "failed, {} given up",
            status.copied,
            status.skipped,
            status.failed,
            status.abandoned);
    }
    return !status.busy;
}

}  // namespace holdfast::cli
