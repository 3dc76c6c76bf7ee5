// P1, P2, B1-B3: the real program with second copies, in the run directory and elsewhere, killed in
// each part of a copy. After each kill a copy that was published once is there and sound; at the
// end the newest and the best have theirs. HOLDFAST_SOAK_KILLS (default 8 for each place) and
// HOLDFAST_SOAK_SEED make it the soak of tools/soak-kill.
#include <algorithm>
#include <filesystem>
#include <ostream>
#include <string>
#include <vector>

#include <signal.h>

#include <gtest/gtest.h>

#include "checkpoint/catalog.h"
#include "checkpoint/reader.h"
#include "faults/killed_run.h"
#include "fs/real_file_system.h"

namespace holdfast::faults {
namespace {

enum class CopyPlace { kInTheRun, kElsewhere };

class SoakKillCopies : public KilledRun, public testing::WithParamInterface<CopyPlace> {
protected:
    [[nodiscard]] std::string backup_directory() const {
        return GetParam() == CopyPlace::kInTheRun
                   ? run_directory(name_) + "/backup"
                   : directory_ / ("other-disk/" + name_ + "/backup");
    }

    [[nodiscard]] std::vector<std::string> options() const override {
        std::vector<std::string> all = KilledRun::options();
        all.insert(all.end(), {"--backup", "on"});
        if (GetParam() == CopyPlace::kElsewhere) {
            all.insert(all.end(), {"--backup-dir", backup_directory()});
        }
        return all;
    }
    [[nodiscard]] const std::vector<KillPoint>& points() const override {
        return copy_kill_points();
    }
    [[nodiscard]] std::vector<std::string_view> placed_points() const override {
        return {kRandomTime};
    }
    [[nodiscard]] const KillPoint& first_point() const override { return first_copies(); }

    // What has been published is never half there, and the last of it never goes.
    void expect_sound_after_a_kill(const cli::Outcome& killed) override {
        has_copy_ = has_copy_ || killed.log.find(" to backup/rolling/") != std::string::npos;
        bool has_rolling = false;
        const checkpoint::Catalog copies = checkpoint::scan_pools(
            fs::real_file_system(),
            checkpoint::RunPaths::of(run_directory(name_), backup_directory()),
            {},
            checkpoint::kBackupPools);
        EXPECT_TRUE(copies.unreadable.empty());
        for (const checkpoint::Entry& entry : copies.entries) {
            auto reader = checkpoint::Reader::open(fs::real_file_system(), entry.path);
            EXPECT_TRUE(reader.ok() && reader.value().verify().ok()) << entry.path;
            has_rolling = has_rolling || entry.pool == checkpoint::Pool::kBackupRolling;
        }
        EXPECT_TRUE(has_rolling || !has_copy_) << "the last copy is gone";
        has_copy_ = has_copy_ || has_rolling;
    }

    void expect_the_end_of_a_run_never_stopped() override {
        KilledRun::expect_the_end_of_a_run_never_stopped();
        expect_copies_of_the_end();
        std::filesystem::remove_all(backup_directory());
        has_copy_ = false;  // of the next run
    }

    void expect_copies_of_the_end() {
        expect_sound_after_a_kill({});
        const std::string run = run_directory(name_);
        for (const char* pool : {"/rolling", "/best"}) {
            EXPECT_EQ(names_in(backup_directory() + pool),
                      std::vector<std::string>{names_in(run + pool).back()});
        }
        EXPECT_TRUE(names_in(backup_directory() + "/.trash").empty());
        for (const std::string& name : names_in(backup_directory())) {
            EXPECT_FALSE(name.starts_with(".pending-") || name.ends_with(".new")) << name;
        }
    }

private:
    bool has_copy_ = false;  // one of this run was published
};

TEST_P(SoakKillCopies, P2_EndsWithTheBitsOfARunNeverStoppedAndWithItsCopies) {
    kill_runs(kills_wanted(8));
}

// Killed in the copy of its last save: nothing is left to be trained.
TEST_P(SoakKillCopies, CopiesOfAFinishedRunAreMadeUpByTheNextStart) {
    name_ = "finished";
    std::vector<std::string> all = options();
    all.insert(all.end(), {"--max-steps", "4", "--warmup-steps", "2"});
    const std::vector<std::string> words = train_words(name_, all);
    const cli::Outcome killed =
        run_with_faults(words, "rename */backup/rolling/step_00000004 1 kill-before");
    EXPECT_EQ(killed.exit_code, 128 + SIGKILL) << killed.log;
    const cli::Outcome again = run_with_faults(words, "");
    EXPECT_EQ(again.exit_code, 0) << again.log;
    // Without another step: all there may be left is the evaluation of the last one, which runs
    // beside the copy.
    EXPECT_EQ(again.log.find("saved "), std::string::npos) << again.log;
    expect_copies_of_the_end();
}

INSTANTIATE_TEST_SUITE_P(Backup,
                         SoakKillCopies,
                         testing::Values(CopyPlace::kInTheRun, CopyPlace::kElsewhere),
                         [](const auto& place) {
                             return std::string(place.param == CopyPlace::kInTheRun ? "InTheRun"
                                                                                    : "Elsewhere");
                         });

}  // namespace
}  // namespace holdfast::faults
