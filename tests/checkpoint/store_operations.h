// The operations of the store that a fault sweep goes through: how the store is made, what the
// process holds before, and what it does while the disk is sick.
#pragma once

#include <algorithm>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "checkpoint_fixture.h"

namespace holdfast::checkpoint {

using Order = std::pair<std::int64_t, std::int64_t>;  // lineage, step

inline constexpr const char* kOldConfig = R"({"model":{"n_layer":2}})";
inline constexpr const char* kNewConfig = R"({"model":{"n_layer":2},"train":{"max_steps":9}})";
inline constexpr RetentionLimits kTight{.keep_rolling = 2, .keep_best = 1};
inline constexpr RetentionLimits kWide{.keep_rolling = 20,
                                       .keep_emergency = 20,
                                       .keep_best = 20,
                                       .keep_backup_rolling = 20,
                                       .keep_backup_best = 20};

// What the process under test holds, and what must come back after it.
struct World {
    std::optional<OpenedRun> opened;
    Order newest{0, 0};               // published before the fault, or by the operation
    std::optional<Order> may_come;    // the operation was about to publish this one
    std::vector<Identity> ancestors;  // of the lineage that the next save belongs to
    RetentionLimits limits = kWide;
    std::set<std::string> damaged;  // parts of the names of what may go to quarantine

    [[nodiscard]] bool is_damaged(const std::string& name) const {
        return std::any_of(damaged.begin(), damaged.end(), [&](const std::string& part) {
            return name.find(part) != std::string::npos;
        });
    }
};

class StoreOperations : public RunFixture {
public:
    void nothing() { std::filesystem::remove_all(dir_); }
    void a_store() {
        const auto opened = open();
        const RunDirectory& run = opened.value().run;
        for (const std::int64_t step : {250, 500, 750}) {
            const auto saved = save(run,
                                    step,
                                    Pool::kRolling,
                                    step == 250 ? std::vector{Pool::kEpoch} : std::vector<Pool>{})
                                   .value();
            if (step < 750) {
                ASSERT_TRUE(run.link(saved, Pool::kBest, shared_buffers()).ok());
            }
        }
    }
    // A pool that is owed, a save that was torn, a deletion that was not finished.
    void a_store_with_leftovers() {
        a_store();
        {
            const auto opened = open();
            faults_.arm({.operation = fs::Operation::kHardLink, .os_errno = EIO, .for_ever = true});
            ASSERT_TRUE(save(opened.value().run, 900, Pool::kRolling, {Pool::kKeep}).ok());
            faults_.disarm();
        }
        for (const auto* folder : {".pending-00000000000000aa", ".trash/00000000000000bb"}) {
            std::filesystem::copy(in_run("rolling/step_00000250"), in_run(folder));
        }
    }
    // The newest has a wrong bit, the one before it no manifest, but a link in another pool.
    void a_damaged_store() {
        a_store();
        flip_bit(in_run("rolling/step_00000750/model.safetensors"), 4100);
        std::filesystem::remove(in_run("rolling/step_00000500/checkpoint.json"));
    }

    void hold_nothing(World& world) { world.newest = {1, 750}; }
    void hold_nothing_of_nothing(World& world) {
        world.newest = {1, -1};
        world.may_come = Order{1, 0};
    }
    void hold_nothing_but_900(World& world) { world.newest = {1, 900}; }
    void hold_damage(World& world) {
        world.newest = {1, 500};
        world.damaged = {"step_00000750", "rolling/step_00000500", "rolling_step_00000500"};
    }
    void hold_run(World& world) {
        world.newest = {1, 750};
        world.opened.emplace(open().value());
    }

    bool open_a_new_run(World& world) {
        auto opened = open();
        if (!opened.ok()) {
            return false;
        }
        world.opened.emplace(std::move(opened).value());
        const bool saved = save(world.opened->run, 0).ok();
        world.newest = saved ? Order{1, 0} : world.newest;
        return saved;
    }
    bool save_with_owed_pools(World& world) {
        world.may_come = Order{1, 1000};
        const bool saved =
            save(world.opened->run, 1000, Pool::kRolling, {Pool::kKeep, Pool::kBest, Pool::kEpoch})
                .ok();
        world.newest = saved ? *world.may_come : world.newest;
        return saved;
    }
    bool link_into_best(World& world) {
        return world.opened->run.link(entry_of(750), Pool::kBest, shared_buffers()).ok();
    }
    bool move_latest(World& world) {
        return update_latest(*file_system_, world.opened->run.paths(), Pool::kBest, "step_00000500")
            .ok();
    }
    bool tidy(World& world) {
        world.limits = kTight;
        return world.opened->run.tidy(kTight, shared_buffers()).failures.empty();
    }
    bool open_with_leftovers(World& world) {
        auto opened = open();
        if (opened.ok()) {
            world.opened.emplace(std::move(opened).value());
        }
        return opened.ok();
    }
    bool resume(World& world) { return resume_with("auto", world); }
    bool roll_back(World& world) {
        world.may_come = Order{2, 250};
        if (!resume_with("250", world)) {
            return false;
        }
        world.ancestors = {entry_of(250).manifest.identity};
        const bool saved = save(world.opened->run, manifest_of(world, 250, 2)).ok();
        world.newest = saved ? *world.may_come : world.newest;
        return saved;
    }
    bool record_change(World& world) {
        return world.opened->run.record_change(kNewConfig, "abc").ok();
    }

protected:
    StoreOperations() : RunFixture(Place::kMemory) {}

    static Manifest manifest_of(const World& world, std::int64_t step, std::int64_t lineage) {
        Manifest manifest = tiny_manifest({}, step);
        manifest.identity.lineage = lineage;
        manifest.ancestors = world.ancestors;
        return manifest;
    }
    base::Result<PublishedCheckpoint> save(const RunDirectory& run, Manifest manifest) const {
        manifest.run_id = run.identity().run_id;
        return RunFixture::save(run, std::move(manifest));
    }
    using RunFixture::save;

    bool resume_with(const std::string& request, World& world) {
        auto opened = open(request);
        if (!opened.ok()) {
            return false;
        }
        world.opened.emplace(std::move(opened).value());
        TinyState state;
        const auto resumed =
            resume_load(*world.opened, parse_resume_request(request).value(), load_into(state));
        if (resumed.ok()) {
            EXPECT_EQ(state, TinyState::of_step(resumed.value().entry.manifest.identity.step));
        }
        return resumed.ok();
    }

    [[nodiscard]] PublishedCheckpoint entry_of(std::int64_t step) const {
        for (const Entry& entry :
             scan_pools(fs::real_file_system(), RunPaths::of(dir_), {}).entries) {
            if (entry.manifest.identity.step == step && entry.pool == Pool::kRolling) {
                return {entry.pool, entry.name, entry.path, entry.manifest};
            }
        }
        return {};
    }
};

struct Scenario {
    const char* name;
    void (StoreOperations::*prepare)();      // makes the store in dir_, the disk being well
    void (StoreOperations::*begin)(World&);  // what the process holds before the first fault
    bool (StoreOperations::*act)(World&);    // under faults; false when anything of it failed
};

}  // namespace holdfast::checkpoint
