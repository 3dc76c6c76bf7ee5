// Method: each operation of the store is a sequence of N calls over the seam. For k = 1..N the k-th
// call fails, once or from then on, with each of the errors a disk knows, is cut short, or is where
// the process dies. Then, with the disk well again: the store as it stands is copied and opened by
// a trainer that starts again, and the process that lived through it saves once more without
// opening anything anew. Both times the newest published checkpoint (or a newer whole one) comes
// back with the right bytes, nothing older is hurt, nothing is in quarantine that is not damaged,
// and nothing half-made is left. An interrupted call and a short write must not be noticed at all.
//
// `for ever` is tried at every fifth call, each error beginning at another one; with
// HOLDFAST_FULL_SWEEP=1 at every call.

#include <array>
#include <cstdio>
#include <functional>
#include <map>
#include <optional>
#include <set>

#include <gmock/gmock.h>

#include "base/log.h"
#include "store_clone.h"
#include "store_operations.h"

namespace holdfast::checkpoint {
namespace {

using ::testing::IsEmpty;
using ::testing::IsSupersetOf;

constexpr std::int64_t kNextStep = 5000;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::uint64_t kStride = 7;
#else
constexpr std::uint64_t kStride = 1;
#endif
constexpr std::uint64_t kForEverStride = 5;

std::vector<std::string> in_both(std::vector<std::string> a, std::vector<std::string> b) {
    std::sort(a.begin(), a.end());
    std::sort(b.begin(), b.end());
    std::vector<std::string> both;
    std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(both));
    return both;
}

bool full_sweep() {
    return std::getenv("HOLDFAST_FULL_SWEEP") != nullptr;
}

struct Trouble {
    const char* name;
    fs::Fault fault;
    std::uint64_t for_ever_offset = 0;
    bool must_not_be_noticed = false;
};

class StoreSweep : public StoreOperations,
                   public ::testing::WithParamInterface<std::tuple<Scenario, Trouble>> {
protected:
    StoreSweep() {
        base::capture_log([this](auto, std::string_view line) { lines_.emplace_back(line); });
    }
    ~StoreSweep() override {
        base::capture_log(nullptr);
        for (const std::string& folder : {pristine_, after_}) {
            std::filesystem::remove_all(folder);
        }
    }

    // Both configs are this run: a change the user allowed.
    [[nodiscard]] OpenRunOptions any_config(const std::string& directory,
                                            const std::string& resume = "auto") const {
        OpenRunOptions wanted = options(resume);
        wanted.directory = directory;
        wanted.differences = [](const RunIdentity& stored) {
            return stored.config == kOldConfig || stored.config == kNewConfig
                       ? std::vector<std::string>{}
                       : std::vector<std::string>{stored.config};
        };
        return wanted;
    }

    // Names, `latest` and the config: what an unfaulted operation leaves, to compare with.
    [[nodiscard]] std::vector<std::string> picture() const {
        std::vector<std::string> all = labels();
        std::error_code none;  // a run without its first save has no `latest`
        all.push_back("latest " + std::filesystem::read_symlink(in_run("latest"), none).string());
        const auto identity = parse_run_identity(slurp(in_run("run.json")));
        all.push_back(identity.ok() ? identity.value().config : "no run.json");
        return all;
    }

    World begin_at_pristine() {
        clone_store(pristine_, dir_);
        lines_.clear();
        faults_.reset_count();
        World world;
        (this->*scenario_.begin)(world);
        return world;
    }

    static void expect_verifies(const Entry& entry);
    void expect_store_sound(const std::string& directory,
                            const World& world,
                            const Catalog& now,
                            const std::vector<std::string>& must_stay);
    void expect_restart(const std::string& directory,
                        const World& world,
                        const std::vector<std::string>& must_stay);
    void save_next(World& world);
    bool try_one(fs::Fault fault, std::uint64_t k);
    std::uint64_t sweep(fs::Fault fault, std::uint64_t first, std::uint64_t stride);

    const Scenario& scenario_ = std::get<0>(GetParam());
    const Trouble& trouble_ = std::get<1>(GetParam());
    const std::string pristine_ = dir_ + "_pristine";
    const std::string after_ = dir_ + "_after";
    std::vector<std::string> must_stay_;             // entries that no fault may cost
    std::vector<std::string> must_stay_after_next_;  // nor the pass after the save after it
    std::set<std::uint64_t> pristine_inodes_;
    std::vector<std::string> picture_;
    std::vector<std::string> lines_;
};

void StoreSweep::expect_verifies(const Entry& entry) {
    auto reader = Reader::open(fs::real_file_system(), entry.path);
    ASSERT_TRUE(reader.ok() && reader.value().verify(1).ok()) << entry.label();
}

// Nothing half-made, doubled, hurt or wrongly set aside.
void StoreSweep::expect_store_sound(const std::string& directory,
                                    const World& world,
                                    const Catalog& now,
                                    const std::vector<std::string>& must_stay) {
    std::vector<std::string> found;
    std::set<std::tuple<Pool, Identity>> seen;
    for (const Entry& entry : now.entries) {
        if (world.is_damaged(entry.label())) {
            continue;  // a resume need not look behind the newest
        }
        ASSERT_TRUE(entry.usable()) << entry.label() << ' ' << entry.why;
        ASSERT_TRUE(seen.insert({entry.pool, entry.manifest.identity}).second)
            << entry.label() << " is there twice";
        // The copies share their files with the pristine store, which is verified at the end.
        if (!pristine_inodes_.contains(entry.inode)) {
            expect_verifies(entry);
        }
        found.push_back(entry.label());
    }
    ASSERT_THAT(found, IsSupersetOf(must_stay));
    for (const auto* root : {"", "backup/"}) {
        const std::string folder = directory + '/' + root;
        ASSERT_TRUE(std::filesystem::is_empty(folder + ".trash"));
        for (const auto& file : std::filesystem::directory_iterator(folder)) {
            ASSERT_FALSE(parse_pending_name(file.path().filename().string())) << file.path();
        }
    }
    for (const auto& moved : std::filesystem::directory_iterator(directory + "/quarantine")) {
        const std::string name = moved.path().filename();
        ASSERT_TRUE(world.is_damaged(name)) << name << " is in quarantine";
    }
}

void StoreSweep::expect_restart(const std::string& directory,
                                const World& world,
                                const std::vector<std::string>& must_stay) {
    auto opened = open_run(*file_system_, any_config(directory), shared_buffers());
    ASSERT_TRUE(opened.ok()) << opened.error().what;
    const RunDirectory& run = opened.value().run;
    ASSERT_EQ(run.paths().directory, directory);
    if (opened.value().fresh) {
        ASSERT_EQ(world.newest.second, -1) << "something was published, and a fresh run began";
        ASSERT_TRUE(save(run, 0).ok());
    }
    TinyState state;
    const auto resumed =
        resume_load(opened.value(), parse_resume_request("auto").value(), load_into(state));
    ASSERT_TRUE(resumed.ok()) << resumed.error().what;
    const Identity& identity = resumed.value().entry.manifest.identity;
    const Order order{identity.lineage, identity.step};
    ASSERT_TRUE(order == world.newest || order == world.may_come)
        << "resumed at " << order.first << ", " << order.second;
    ASSERT_EQ(state, TinyState::of_step(identity.step));
    const Catalog now = run.scan();
    expect_store_sound(directory, world, now, must_stay);
    for (const Entry& entry : now.entries) {
        ASSERT_THAT(outstanding_pools(entry, now), IsEmpty()) << entry.label();
    }
}

// The process lives on, the disk is well again.
void StoreSweep::save_next(World& world) {
    const RunDirectory& run = world.opened->run;
    const Order order{world.ancestors.empty() ? 1 : 2, kNextStep};
    const auto saved = save(run, manifest_of(world, kNextStep, order.first));
    ASSERT_TRUE(saved.ok()) << saved.error().what;
    const ReclaimReport report = run.tidy(world.limits, shared_buffers());
    ASSERT_THAT(report.failures, IsEmpty());
    const Catalog now = run.scan();
    std::map<Pool, std::int64_t> counts;
    for (const Entry& entry : now.entries) {
        ++counts[entry.pool];
    }
    ASSERT_LE(counts[Pool::kRolling], world.limits.keep_rolling);
    ASSERT_LE(counts[Pool::kBest], world.limits.keep_best);
    const Entry* head = find_head(now);
    ASSERT_NE(head, nullptr);
    ASSERT_EQ(Order(head->manifest.identity.lineage, head->manifest.identity.step), order);
    expect_store_sound(dir_, world, now, must_stay_after_next_);
}

// Whether the fault happened.
bool StoreSweep::try_one(fs::Fault fault, std::uint64_t k) {
    World world = begin_at_pristine();
    fault.at_call = k;
    faults_.arm(fault);
    const bool succeeded = (this->*scenario_.act)(world);
    const bool fired = faults_.fired();
    faults_.disarm();
    const bool hidden = trouble_.must_not_be_noticed && (!fault.for_ever || fault.short_write);
    if (hidden || !fired) {
        EXPECT_TRUE(succeeded) << "it was noticed";
        EXPECT_EQ(picture(), picture_);
    }
    clone_store(dir_, after_);
    expect_restart(after_, world, must_stay_);
    if (world.opened && !fault.crash && !HasFatalFailure()) {
        save_next(world);
    }
    return fired;
}

std::uint64_t StoreSweep::sweep(fs::Fault fault, std::uint64_t first, std::uint64_t stride) {
    std::uint64_t tried = 0;
    for (std::uint64_t k = first;; k += stride) {
        SCOPED_TRACE(::testing::Message()
                     << "call " << k << (fault.for_ever ? " and all after" : ""));
        const bool fired = try_one(fault, k);
        if (HasFailure()) {
            ADD_FAILURE() << "the log of it:\n" << ::testing::PrintToString(lines_);
            return tried;
        }
        if (!fired) {
            return tried;
        }
        ++tried;
    }
}

TEST_P(StoreSweep, P6_AnyFaultLeavesTheNewestWholeAndTheNextSaveSucceeds) {
    (this->*scenario_.prepare)();
    clone_store(dir_, pristine_);
    const std::vector<std::string> before = labels();
    {
        World world = begin_at_pristine();
        ASSERT_TRUE((this->*scenario_.act)(world)) << ::testing::PrintToString(lines_);
        picture_ = picture();
        must_stay_ = in_both(before, labels());
        save_next(world);
        must_stay_after_next_ = in_both(before, labels());
    }
    const Catalog pristine = scan_pools(fs::real_file_system(), RunPaths::of(pristine_), {});
    for (const Entry& entry : pristine.entries) {
        pristine_inodes_.insert(entry.inode);
    }
    fs::Fault fault = trouble_.fault;
    std::uint64_t tried = sweep(fault, 1, kStride);
    if (!fault.crash && !HasFailure()) {
        fault.for_ever = true;
        const std::uint64_t stride = full_sweep() ? 1 : kForEverStride * kStride;
        tried += sweep(fault, 1 + trouble_.for_ever_offset % stride, stride);
    }
    const World world = begin_at_pristine();
    for (const Entry& entry : pristine.entries) {
        if (!world.is_damaged(entry.label())) {
            expect_verifies(entry);
        }
    }
    std::printf("%llu faults\n", static_cast<unsigned long long>(tried));
}

constexpr std::array kScenarios{
    Scenario{"OpenNew",
             &StoreOperations::nothing,
             &StoreOperations::hold_nothing_of_nothing,
             &StoreOperations::open_a_new_run},
    Scenario{"Save",
             &StoreOperations::a_store,
             &StoreOperations::hold_run,
             &StoreOperations::save_with_owed_pools},
    Scenario{"Link",
             &StoreOperations::a_store,
             &StoreOperations::hold_run,
             &StoreOperations::link_into_best},
    Scenario{"Latest",
             &StoreOperations::a_store,
             &StoreOperations::hold_run,
             &StoreOperations::move_latest},
    Scenario{
        "Retention", &StoreOperations::a_store, &StoreOperations::hold_run, &StoreOperations::tidy},
    Scenario{"Leftovers",
             &StoreOperations::a_store_with_leftovers,
             &StoreOperations::hold_nothing_but_900,
             &StoreOperations::open_with_leftovers},
    Scenario{"Quarantine",
             &StoreOperations::a_damaged_store,
             &StoreOperations::hold_damage,
             &StoreOperations::resume},
    Scenario{"Resume",
             &StoreOperations::a_store,
             &StoreOperations::hold_nothing,
             &StoreOperations::resume},
    Scenario{"Rollback",
             &StoreOperations::a_store,
             &StoreOperations::hold_nothing,
             &StoreOperations::roll_back},
    Scenario{"RecordChange",
             &StoreOperations::a_store,
             &StoreOperations::hold_run,
             &StoreOperations::record_change},
};

const std::array kTroubles{
    Trouble{"Crash", {.crash = true}},
    Trouble{"ENOSPC", {.os_errno = ENOSPC}, 0},
    Trouble{"EDQUOT", {.os_errno = EDQUOT}, 1},
    Trouble{"EIO", {.os_errno = EIO}, 2},
    Trouble{"ESTALE", {.os_errno = ESTALE}, 3},
    Trouble{"EROFS", {.os_errno = EROFS}, 4},
    Trouble{"EMFILE", {.os_errno = EMFILE}, 5},
    Trouble{"EACCES", {.os_errno = EACCES}, 6},
    Trouble{"EINTR", {.os_errno = EINTR}, 3, true},
    Trouble{"ShortWrite", {.operation = fs::Operation::kWrite, .short_write = true}, 4, true},
};

INSTANTIATE_TEST_SUITE_P(Store,
                         StoreSweep,
                         ::testing::Combine(::testing::ValuesIn(kScenarios),
                                            ::testing::ValuesIn(kTroubles)),
                         [](const auto& instance) {
                             return std::string(std::get<0>(instance.param).name) +
                                    std::get<1>(instance.param).name;
                         });

}  // namespace
}  // namespace holdfast::checkpoint
