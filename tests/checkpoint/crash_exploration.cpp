#include "crash_exploration.h"

#include <utility>

#include <fmt/format.h>

#include "crash_verdict.h"

namespace holdfast::checkpoint {

namespace {

std::uint64_t mixed(std::uint64_t a, std::uint64_t b) {
    return (a ^ (b + 0x9e3779b97f4a7c15ULL)) * 0xff51afd7ed558ccdULL;
}

}  // namespace

bool CrashExploration::is_done() const {
    return violations_.size() >= options_.violations_max || seen_.size() >= options_.states_max;
}

void CrashExploration::explore(const RecordedAct& act, std::uint64_t seed) {
    fs::PowerCut cut(act.start, options_.rename_model);
    for (std::size_t count = 0; count <= act.operations.size() && !is_done(); ++count) {
        if (count > 0 && !(options_.left_out && options_.left_out(act, count - 1))) {
            cut.apply(act.operations[count - 1]);
        }
        if (mixed(seed, count) % options_.cut_one_in != 0) {
            continue;
        }
        const Trial trial{
            .act = &act,
            .seed = seed,
            .expectation = act.expectation_at(count),
            .where = fmt::format("{}: cut after operation {} ({})",
                                 act.name,
                                 count,
                                 count > 0 ? act.operations[count - 1].path : "none")};
        cut.for_each_state(options_.bounds, mixed(seed, count), [&](const fs::DiskImage& image) {
            return try_state(image, trial) && !is_done();
        });
    }
}

// Answers false on a violation.
bool CrashExploration::try_state(const fs::DiskImage& image, const Trial& trial) {
    const std::uint64_t digest = image.digest();
    if (seen_.insert(digest).second) {
        nested_states_ += trial.is_nested ? 1 : 0;
        (trial.is_nested ? new_states_.nested : new_states_.first_cuts).push_back(digest);
    }
    if (!tried_.insert(mixed(digest, trial.expectation)).second) {
        return true;
    }
    fs::SimulatedFileSystem disk(image);
    std::string wrong;
    {
        TinyTrainer trainer(disk, kRunPath, trial.act->limits);
        const base::Status started = trainer.start();
        wrong =
            judge_start(disk, trainer, started, trial.act->expectations[trial.expectation].second);
    }
    const std::vector<fs::DiskOperation> operations = disk.operations();
    if (wrong.empty() && saved_on_.insert(disk.image().digest()).second) {
        wrong = judge_next_save(
            disk, trial.act->limits, trial.act->expectations[trial.expectation].second.unread);
    }
    if (!wrong.empty()) {
        violations_.push_back(trial.where + ": " + wrong + "; the disk held" + image.tree());
        return false;
    }
    const bool cut_again = !trial.is_nested && options_.nested_one_in > 0 &&
                           mixed(digest, trial.seed) % options_.nested_one_in == 0;
    if (cut_again) {
        cut_the_start_short(image, operations, trial);
    }
    return true;
}

void CrashExploration::cut_the_start_short(const fs::DiskImage& image,
                                           const std::vector<fs::DiskOperation>& operations,
                                           const Trial& trial) {
    fs::PowerCut cut(image, options_.rename_model);
    for (std::size_t i = 0; i < operations.size() && !is_done(); ++i) {
        cut.apply(operations[i]);
        Trial nested = trial;
        nested.is_nested = true;
        nested.where += fmt::format(", then in the start after {} ({})", i + 1, operations[i].path);
        cut.for_each_state(
            options_.nested_bounds, mixed(trial.seed, i), [&](const fs::DiskImage& state) {
                return try_state(state, nested) && !is_done();
            });
    }
}

}  // namespace holdfast::checkpoint
