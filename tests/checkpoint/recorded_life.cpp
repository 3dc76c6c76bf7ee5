#include "recorded_life.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <memory>
#include <random>

#include "fs/fault_file_system.h"

namespace holdfast::checkpoint {

std::size_t RecordedAct::expectation_at(std::size_t count) const {
    const auto after = std::upper_bound(
        expectations.begin(), expectations.end(), count, [](std::size_t n, const auto& from) {
            return n < from.first;
        });
    return static_cast<std::size_t>(std::distance(expectations.begin(), after)) - 1;
}

namespace {

// Lives whose course is written here; it is drawn in all others.
constexpr std::uint64_t kGivenLives = 2;
constexpr std::uint64_t kRanksMax = 3;

class Life {
public:
    explicit Life(std::uint64_t variant) : variant_(variant), random_(variant) {}

    RecordedAct up_to(Act last) {
        constexpr std::array kActs{&Life::opening,
                                   &Life::pools,
                                   &Life::retention,
                                   &Life::leftovers,
                                   &Life::repair,
                                   &Life::rollback,
                                   &Life::parts};
        for (std::size_t i = 0; i <= static_cast<std::size_t>(last); ++i) {
            (this->*kActs.at(i))();
        }
        return std::move(record_);
    }

private:
    // In the first lives a given number, in all others one drawn below `count`.
    std::uint64_t vary(std::uint64_t given, std::uint64_t count) {
        return variant_ < kGivenLives ? given : random_() % count;
    }
    std::vector<Pool> vary_owed(std::vector<Pool> given) {
        if (variant_ < kGivenLives) {
            return given;
        }
        const bool must_keep = std::find(given.begin(), given.end(), Pool::kKeep) != given.end();
        std::vector<Pool> owed;
        for (const Pool pool : {Pool::kBest, Pool::kEpoch, Pool::kKeep}) {
            // What is kept for ever makes every later state larger.
            if (random_() % (pool == Pool::kBest ? 2 : 8) == 0 ||
                (pool == Pool::kKeep && must_keep)) {
                owed.push_back(pool);
            }
        }
        return owed;
    }

    void begin(Act act, RetentionLimits limits) {
        record_ = RecordedAct{.name = kActNames.at(static_cast<std::size_t>(act)),
                              .start = image_,
                              .operations = {},
                              .expectations = {},
                              .limits = limits};
        disk_ = std::make_unique<fs::SimulatedFileSystem>(image_);
        seen_.log_lines = {};
        expect_from(0);
    }
    void end() {
        record_.operations = disk_->operations();
        image_ = disk_->image();
    }
    void expect_from(std::size_t count) {
        auto& expectations = record_.expectations;
        expectations.emplace_back(
            expectations.empty() ? count : std::max(count, expectations.back().first), seen_);
    }

    void start(TinyTrainer& trainer, const std::string& resume = "auto") {
        const base::Status started = trainer.start(resume);
        ASSERT_TRUE(started.ok()) << record_.name << ": " << started.error().what;
        promise(trainer);
    }
    // All that is there now has been promised.
    void promise(const TinyTrainer& trainer) {
        const Identity& newest = trainer.last_published();
        seen_.newest_at_least = {newest.lineage, newest.step};
        seen_.labels.clear();
        seen_.unread.clear();
        for (const Entry& entry : trainer.run().scan().entries) {
            const std::string& save_id = entry.manifest.identity.save_id;
            if (entry.usable() && damaged_saves_.contains(save_id)) {
                seen_.unread.insert(save_id);
            } else if (entry.usable()) {
                seen_.labels.insert(entry.label());
            }
        }
        expect_from(disk_->operations().size());
    }
    PublishedCheckpoint save(TinyTrainer& trainer,
                             std::vector<Pool> owed = {},
                             std::int64_t rank_count = 1) {
        step_ += 250;
        owed = vary_owed(std::move(owed));
        rank_count = 1 + static_cast<std::int64_t>(
                             vary(static_cast<std::uint64_t>(rank_count) - 1, kRanksMax));
        trainer.log(step_ - 2);
        trainer.log(step_ - 1);
        const auto published = trainer.save(step_, std::move(owed), rank_count);
        EXPECT_TRUE(published.ok()) << record_.name << ": " << published.error().what;
        promise(trainer);
        trainer.log(step_);
        return published.value();
    }
    void tidy(TinyTrainer& trainer, const RetentionLimits& limits) {
        for (const Deletion& deletion : plan_deletions(trainer.run().scan(), limits)) {
            seen_.labels.erase(RunPaths::relative(deletion.pool, deletion.name));
        }
        expect_from(disk_->operations().size() + 1);
        const ReclaimReport report = trainer.tidy();
        EXPECT_TRUE(report.failures.empty()) << record_.name << ": " << report.failures.front();
        promise(trainer);
    }
    // What else a run may do before it ends: nothing in the first lives.
    void go_on(TinyTrainer& trainer, const RetentionLimits& limits) {
        for (std::uint64_t more = vary(0, 3); more > 0; --more) {
            const PublishedCheckpoint published = save(trainer);
            if (vary(0, 2) == 0) {
                tidy(trainer, limits);
            }
            switch (vary(0, 4)) {
                case 1:
                    copy(trainer, published, Pool::kBackupRolling);
                    break;
                case 2:
                    EXPECT_TRUE(trainer.link(published, Pool::kBest).ok()) << record_.name;
                    promise(trainer);
                    break;
                default:
                    break;
            }
        }
    }
    void copy(TinyTrainer& trainer, const PublishedCheckpoint& published, Pool pool) {
        // The copy before it goes.
        std::erase_if(seen_.labels, [&](const std::string& label) {
            return label.starts_with(std::string(to_string(pool)) + '/');
        });
        expect_from(disk_->operations().size() + 1);
        const auto copied = trainer.copy(published, pool);
        EXPECT_TRUE(copied.ok()) << record_.name << ": " << copied.error().what;
        promise(trainer);
    }
    // What the log holds at the start and is not part of the newest checkpoint.
    void expect_log_lines() {
        const fs::DiskInode* log = image_.find(image_.at(kRunPath + "/metrics.jsonl"));
        seen_.log_lines = log->bytes.substr(log->bytes.rfind('\n', log->bytes.size() - 2) + 1);
        record_.expectations.clear();
        expect_from(0);
    }

    void opening() {
        const RetentionLimits limits;
        begin(Act::kOpening, limits);
        {
            TinyTrainer trainer(*disk_, kRunPath, limits);
            start(trainer);
            tidy(trainer, limits);
            save(trainer, {Pool::kBest});
            tidy(trainer, limits);
            save(trainer, variant_ % 2 == 0 ? std::vector<Pool>{} : std::vector{Pool::kKeep});
            tidy(trainer, limits);
            go_on(trainer, limits);
        }
        end();
    }

    void pools() {
        const RetentionLimits limits;
        begin(Act::kPools, limits);
        expect_log_lines();
        {
            TinyTrainer trainer(*disk_, kRunPath, limits);
            start(trainer);
            const auto published = save(trainer, {Pool::kEpoch, Pool::kKeep});
            tidy(trainer, limits);
            copy(trainer, published, Pool::kBackupRolling);
            ASSERT_TRUE(trainer.link(published, Pool::kBest).ok());
            promise(trainer);
            tidy(trainer, limits);
            const auto best = save(trainer, {Pool::kBest});
            tidy(trainer, limits);
            copy(trainer, best, Pool::kBackupBest);
            go_on(trainer, limits);
        }
        end();
    }

    void retention() {
        RetentionLimits limits;
        limits.keep_rolling = 2 + static_cast<std::int64_t>(vary(variant_ % 2, 3));
        limits.keep_backup_rolling = 1;
        begin(Act::kRetention, limits);
        expect_log_lines();
        {
            TinyTrainer trainer(*disk_, kRunPath, limits);
            start(trainer);
            tidy(trainer, limits);
            const auto published = save(trainer, {Pool::kBest});
            tidy(trainer, limits);
            copy(trainer, published, Pool::kBackupRolling);
            save(trainer, {Pool::kBest});
            tidy(trainer, limits);
            save(trainer);
            tidy(trainer, limits);
            go_on(trainer, limits);
        }
        end();
    }

    // The process dies at the k-th call; what it had done stays in the page cache.
    void leftovers() {
        RetentionLimits limits;
        limits.keep_rolling = 2;
        begin(Act::kLeftovers, limits);
        expect_log_lines();
        const auto dies_at = [&](const fs::Fault& fault) {
            fs::FaultFileSystem faults(*disk_);
            TinyTrainer trainer(faults, kRunPath, limits);
            start(trainer);
            faults.arm(fault);
            if (fault.operation == fs::Operation::kRemoveFile) {
                save_and_die(trainer, limits);
            } else {
                EXPECT_FALSE(trainer.save(step_ + 250).ok());
            }
            EXPECT_TRUE(faults.fired()) << record_.name;
        };
        dies_at({.at_call = 1 + vary(1, 2),
                 .operation = vary(0, 2) == 0 ? fs::Operation::kSync : fs::Operation::kWrite,
                 .path_part = ".pending-",
                 .crash = true});
        dies_at({.operation = fs::Operation::kRename, .path_part = ".pending-", .crash = true});
        dies_at({.at_call = 1 + vary(1 + variant_ % 2, 3),
                 .operation = fs::Operation::kRemoveFile,
                 .path_part = ".trash",
                 .crash = true});
        {
            TinyTrainer trainer(*disk_, kRunPath, limits);
            start(trainer);
            save(trainer, {Pool::kBest});
            tidy(trainer, limits);
            go_on(trainer, limits);
        }
        end();
    }
    void save_and_die(TinyTrainer& trainer, const RetentionLimits& limits) {
        save(trainer);
        for (const Deletion& deletion : plan_deletions(trainer.run().scan(), limits)) {
            seen_.labels.erase(RunPaths::relative(deletion.pool, deletion.name));
        }
        expect_from(disk_->operations().size() + 1);
        EXPECT_FALSE(trainer.tidy().failures.empty());
        expect_from(disk_->operations().size());
    }

    // The newest go bad while nothing runs, with all names of their blocks.
    void repair() {
        RetentionLimits limits;
        limits.keep_rolling = 3;
        damage_newest(1 + vary(variant_ % 2, 3));
        begin(Act::kRepair, limits);
        {
            TinyTrainer trainer(*disk_, kRunPath, limits);
            start(trainer);
            save(trainer, {Pool::kBest});
            tidy(trainer, limits);
            go_on(trainer, limits);
        }
        end();
    }
    void damage_newest(std::uint64_t count) {
        fs::SimulatedFileSystem disk(image_);
        const Catalog catalog = scan_pools(disk, RunPaths::of(kRunPath), {});
        // All copies of a checkpoint, or those of one file of it.
        const bool all_copies = vary(0, 2) == 1;
        std::set<std::pair<std::int64_t, std::int64_t>> orders;
        std::set<std::uint64_t> inodes;
        for (auto entry = catalog.entries.rbegin(); entry != catalog.entries.rend(); ++entry) {
            const Identity& identity = entry->manifest.identity;
            const std::pair order(identity.lineage, identity.step);
            if (!orders.contains(order) && orders.size() == count) {
                seen_.newest_at_least = order;
                break;
            }
            const std::string model = entry->path + "/model.safetensors";
            const bool is_first = orders.insert(order).second;
            if ((is_first || all_copies) &&
                inodes.insert(disk.status(model).value().inode).second) {
                disk.damage(model, 4100);
            }
            seen_.damaged.insert(order);
            seen_.unread.insert(identity.save_id);
            damaged_saves_.insert(identity.save_id);
            seen_.labels.erase(entry->label());
        }
        image_ = disk.image();
    }

    void rollback() {
        RetentionLimits limits;
        limits.keep_rolling = 2;
        begin(Act::kRollback, limits);
        {
            TinyTrainer trainer(*disk_, kRunPath, limits);
            // The oldest entry that is kept for ever.
            start(trainer, std::to_string(kept_step()));
            step_ = kept_step();
            save(trainer, {Pool::kBest});
            tidy(trainer, limits);
            save(trainer);
            tidy(trainer, limits);
            go_on(trainer, limits);
        }
        end();
    }
    // Saves of two and three ranks. In one a rank's sync fails, so that the save is dropped; in
    // another the process dies while ranks write, and the next one clears up.
    void parts() {
        RetentionLimits limits;
        limits.keep_rolling = 2;
        begin(Act::kParts, limits);
        expect_log_lines();
        {
            fs::FaultFileSystem faults(*disk_);
            TinyTrainer trainer(faults, kRunPath, limits);
            start(trainer);
            save(trainer, {Pool::kBest}, 2);
            tidy(trainer, limits);
            faults.arm({.at_call = 2,
                        .operation = fs::Operation::kSync,
                        .path_part = std::string(kModelFileName)});
            EXPECT_FALSE(trainer.save(step_ + 250, {}, 2).ok());
            save(trainer, {}, 2 + static_cast<std::int64_t>(variant_ % 2));
            tidy(trainer, limits);
            faults.arm({.at_call = 1 + vary(2 + variant_ % 2, 4),
                        .operation = fs::Operation::kWrite,
                        .path_part = std::string(kModelFileName),
                        .crash = true});
            EXPECT_FALSE(trainer.save(step_ + 250, {}, 2).ok());
            EXPECT_TRUE(faults.fired()) << record_.name;
        }
        {
            TinyTrainer trainer(*disk_, kRunPath, limits);
            start(trainer);
            save(trainer, {Pool::kBest}, 3);
            tidy(trainer, limits);
            go_on(trainer, limits);
        }
        end();
    }
    std::int64_t kept_step() {
        const auto names = disk_->list(kRunPath + "/keep").value();
        return parse_checkpoint_name(names.front())->number;
    }

    std::uint64_t variant_;
    std::mt19937_64 random_;
    fs::DiskImage image_;
    std::unique_ptr<fs::SimulatedFileSystem> disk_;
    RecordedAct record_;
    Expectation seen_;
    std::set<std::string> damaged_saves_;  // by id
    std::int64_t step_ = 0;
};

}  // namespace

RecordedAct record_act(Act act, std::uint64_t variant) {
    return Life(variant).up_to(act);
}

}  // namespace holdfast::checkpoint
