// Random lives of a run on a real file system: saves, links that fail, deletions that fail, limits
// that change, rollbacks, damage, deaths at any call and new starts. After every event the store
// must hold what docs/checkpoint-format.md promises in R1 to R4 and R6:
//
// - the newest published checkpoint comes back with the right bytes, and of the two newest of the
//   current line none is ever deleted;
// - no pool loses one of its newest `limit`, whatever cannot be deleted beside it;
// - after a pass without failures no pool is above its limit but by the two newest of the line, and
//   nothing waits in .trash: what a pass could not delete, the next one does;
// - epoch and keep lose nothing.
//
// A life is its seed; a failure prints it and what happened. HOLDFAST_LIVES=N lives N seeds a case.

#include <array>
#include <map>
#include <optional>
#include <random>
#include <set>

#include <gmock/gmock.h>

#include "base/log.h"
#include "checkpoint_fixture.h"

namespace holdfast::checkpoint {
namespace {

using Order = std::pair<std::int64_t, std::int64_t>;  // lineage, step
using ::testing::IsEmpty;

constexpr std::uint32_t kCases = 8;
constexpr int kEvents = 25;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::uint32_t kLivesOfACase = 2;
#else
constexpr std::uint32_t kLivesOfACase = 15;
#endif

Order order_of(const Entry& entry) {
    return {entry.manifest.identity.lineage, entry.manifest.identity.step};
}

std::int64_t limit_in(Pool pool, const RetentionLimits& limits) {
    const std::map<Pool, std::int64_t> by_pool{{Pool::kRolling, limits.keep_rolling},
                                               {Pool::kEmergency, limits.keep_emergency},
                                               {Pool::kBest, limits.keep_best},
                                               {Pool::kBackupRolling, limits.keep_backup_rolling},
                                               {Pool::kBackupBest, limits.keep_backup_best}};
    const auto found = by_pool.find(pool);
    return found == by_pool.end() ? 1'000'000 : found->second;
}

// The two newest points of the current line.
std::set<Order> two_newest(const Catalog& catalog) {
    std::set<Order> newest;
    for (const Entry* entry : resume_candidates(catalog)) {
        if (newest.size() < 2) {
            newest.insert(order_of(*entry));
        }
    }
    return newest;
}

class RetentionLives : public RunFixture, public ::testing::WithParamInterface<std::uint32_t> {
protected:
    RetentionLives() : RunFixture(Place::kMemory) {
        base::capture_log([](auto, std::string_view) {});
    }
    ~RetentionLives() override { base::capture_log(nullptr); }

    void live(std::uint32_t seed);

    std::int64_t below(std::int64_t bound) {
        return std::uniform_int_distribution<std::int64_t>(0, bound - 1)(random_);
    }
    void tell(const std::string& what) { story_ += what + '\n'; }
    [[nodiscard]] Catalog on_disk() const {
        return scan_pools(fs::real_file_system(), RunPaths::of(dir_), run_id_);
    }

    void change_limits() {
        limits_ = {.keep_rolling = 2 + below(3),
                   .keep_emergency = 1 + below(3),
                   .keep_best = 1 + below(3),
                   .keep_backup_rolling = 1 + below(2),
                   .keep_backup_best = 1};
        tell("limits " + std::to_string(limits_.keep_rolling) + ' ' +
             std::to_string(limits_.keep_emergency) + ' ' + std::to_string(limits_.keep_best));
    }

    // What a trainer does when it starts.
    void start(const std::string& request = "auto") {
        opened_.reset();
        auto opened = open(request);
        ASSERT_TRUE(opened.ok()) << opened.error().what;
        opened_.emplace(std::move(opened).value());
        run_id_ = opened_->run.identity().run_id;
        if (opened_->fresh) {
            ASSERT_FALSE(newest_) << "a fresh run though something was published";
            return;
        }
        TinyState state;
        const auto resumed =
            resume_load(*opened_, parse_resume_request(request).value(), load_into(state));
        ASSERT_TRUE(resumed.ok()) << resumed.error().what;
        const Manifest& from = resumed.value().entry.manifest;
        ASSERT_EQ(state, TinyState::of_step(from.identity.step));
        step_ = from.identity.step;
        if (request == "auto") {
            ASSERT_TRUE(resumed.value().is_head);
            ASSERT_EQ(order_of(resumed.value().entry), newest_);
        }
        lineage_ = from.identity.lineage;
        ancestors_ = from.ancestors;
        if (!resumed.value().is_head) {
            Manifest manifest = tiny_manifest(run_id_, step_);
            begin_lineage(manifest, from, resumed.value().next_lineage);
            lineage_ = manifest.identity.lineage;
            ancestors_ = manifest.ancestors;
            publish(Pool::kRolling, {});
        }
    }

    // A save of the current step; a failed one that shows all the same counts.
    void publish(Pool pool, std::vector<Pool> owed) {
        Manifest manifest = tiny_manifest(run_id_, step_);
        manifest.identity.lineage = lineage_;
        manifest.ancestors = ancestors_;
        manifest.owed = std::move(owed);
        const auto saved = save(opened_->run, manifest, pool);
        last_ = saved.ok() ? std::optional(saved.value()) : std::nullopt;
        saw_newest();
        ASSERT_TRUE(!saved.ok() || newest_ == Order(lineage_, step_));
    }
    // What is newest on disk may only have become newer.
    void saw_newest() {
        const Catalog catalog = on_disk();
        const Entry* head = find_head(catalog);
        ASSERT_TRUE(head != nullptr || !newest_);
        if (head != nullptr) {
            ASSERT_TRUE(!newest_ || order_of(*head) >= *newest_);
            ASSERT_TRUE(!newest_ || order_of(*head) == *newest_ ||
                        order_of(*head) == Order(lineage_, step_));
            newest_ = order_of(*head);
        }
    }
    void save_something() {
        step_ += 1 + below(100);
        std::vector<Pool> owed;
        for (const Pool pool : {Pool::kEpoch, Pool::kKeep, Pool::kBest}) {
            if (below(8) == 0) {
                owed.push_back(pool);
            }
        }
        const Pool pool = below(6) == 0 ? Pool::kEmergency : Pool::kRolling;
        tell("save " + std::to_string(lineage_) + ' ' + std::to_string(step_) + " into " +
             std::string(to_string(pool)) + " owing " + std::to_string(owed.size()));
        publish(pool, owed);
    }

    void tidy_and_check(bool disk_is_well);
    void event();
    void save_in_trouble(const std::string& name, fs::Fault fault);
    void roll_back();
    void damage_something();

    std::mt19937 random_;
    std::string story_;
    std::optional<OpenedRun> opened_;
    std::string run_id_;
    RetentionLimits limits_;
    std::optional<Order> newest_;
    std::optional<PublishedCheckpoint> last_;
    std::vector<Identity> ancestors_;
    std::int64_t lineage_ = 1;
    std::int64_t step_ = 0;
};

// The members of a pool that count, those that go first in front.
std::vector<const Entry*> members_of(const Catalog& catalog, Pool pool) {
    std::vector<const Entry*> members;
    const Entry* head = find_head(catalog);
    for (const Entry& entry : catalog.entries) {
        if (entry.pool == pool && entry.usable()) {
            members.push_back(&entry);
        }
    }
    std::stable_sort(members.begin(), members.end(), [&](const Entry* a, const Entry* b) {
        return std::pair(!is_superseded(*a, *head), order_of(*a)) <
               std::pair(!is_superseded(*b, *head), order_of(*b));
    });
    return members;
}

void RetentionLives::tidy_and_check(bool disk_is_well) {
    const Catalog before = on_disk();
    const ReclaimReport report = opened_->run.tidy(limits_, shared_buffers());
    faults_.disarm();
    const Catalog after = on_disk();
    std::set<std::string> left;
    std::set<Order> points;
    for (const Entry& entry : after.entries) {
        left.insert(entry.label());
        if (entry.usable()) {
            points.insert(order_of(entry));
        }
    }
    for (const Order& order : two_newest(before)) {
        ASSERT_TRUE(points.contains(order)) << "lost " << order.first << ' ' << order.second;
    }
    // Everything that was there or came, as if nothing had been deleted.
    Catalog all = after;
    for (const Entry& entry : before.entries) {
        if (!left.contains(entry.label())) {
            all.entries.push_back(entry);
            ASSERT_TRUE(entry.usable()) << entry.label() << " was not retention's to judge";
        }
    }
    for (const Pool pool : kAllPools) {
        const std::vector<const Entry*> members = members_of(all, pool);
        const auto limit = static_cast<std::size_t>(limit_in(pool, limits_));
        for (std::size_t i = members.size() - std::min(members.size(), limit); i < members.size();
             ++i) {
            ASSERT_TRUE(left.contains(members[i]->label()))
                << members[i]->label() << " was among the newest " << limit;
        }
        if (!disk_is_well) {
            continue;
        }
        const std::vector<const Entry*> stayed = members_of(after, pool);
        const std::set<Order> newest = two_newest(after);
        for (std::size_t i = 0; i + limit < stayed.size(); ++i) {
            ASSERT_TRUE(newest.contains(order_of(*stayed[i])))
                << stayed[i]->label() << " is above the limit of " << limit;
        }
    }
    if (disk_is_well) {
        ASSERT_THAT(report.failures, IsEmpty());
        for (const auto* trash : {".trash", "backup/.trash"}) {
            ASSERT_TRUE(std::filesystem::is_empty(in_run(trash)));
        }
        TinyState state;
        const auto loaded = load_newest(fs::real_file_system(), dir_, load_into(state));
        ASSERT_TRUE(loaded.ok()) << loaded.error().what;
        ASSERT_EQ(order_of(loaded.value().entry), newest_);
        ASSERT_EQ(state, TinyState::of_step(newest_->second));
    }
}

// A save and a pass with a sick disk, then a pass with a well one.
void RetentionLives::save_in_trouble(const std::string& name, fs::Fault fault) {
    tell(name + (fault.for_ever ? " for ever" : "") + " from call " +
         std::to_string(fault.at_call));
    faults_.arm(fault);
    save_something();
    if (::testing::Test::HasFatalFailure()) {
        return;
    }
    tidy_and_check(false);
    if (fault.crash) {
        start();
    }
}

void RetentionLives::roll_back() {
    const Catalog catalog = on_disk();
    std::vector<std::string> paths;
    for (const Entry& entry : catalog.entries) {
        if (entry.usable()) {
            paths.push_back(entry.path);
        }
    }
    const std::string path =
        paths[static_cast<std::size_t>(below(static_cast<std::int64_t>(paths.size())))];
    tell("roll back to " + path);
    start(path);
}

void RetentionLives::damage_something() {
    const Catalog catalog = on_disk();
    const std::set<Order> newest = two_newest(catalog);
    for (const Entry& entry : catalog.entries) {
        if (entry.usable() && entry.pool == Pool::kRolling && !newest.contains(order_of(entry)) &&
            below(2) == 0) {
            tell("damage " + entry.label());
            std::filesystem::remove(entry.path + '/' + std::string(kManifestName));
            return;
        }
    }
}

void RetentionLives::event() {
    constexpr std::array kErrors{EIO, ENOSPC, ESTALE, EROFS, EMFILE, EACCES, EINTR};
    const int code = kErrors.at(static_cast<std::size_t>(below(kErrors.size())));
    const bool for_ever = below(2) == 0;
    const auto call = [this](std::int64_t bound) {
        return static_cast<std::uint64_t>(1 + below(bound));
    };
    const std::int64_t what = below(13);
    if (what == 0) {
        save_in_trouble("fault", {.at_call = call(600), .os_errno = code, .for_ever = for_ever});
    } else if (what == 1) {
        save_in_trouble("unlink fails",
                        {.at_call = call(4),
                         .operation = fs::Operation::kRemoveFile,
                         .path_part = ".trash",
                         .os_errno = code,
                         .for_ever = for_ever});
    } else if (what <= 4) {
        const std::array kOperations{
            fs::Operation::kRename, fs::Operation::kHardLink, fs::Operation::kRead};
        save_in_trouble(what == 2   ? "rename into .trash fails"
                        : what == 3 ? "links fail"
                                    : "reading fails",
                        {.at_call = what == 4 ? call(80) : 1,
                         .operation = kOperations.at(static_cast<std::size_t>(what - 2)),
                         .path_part = what == 2 ? ".trash" : "",
                         .os_errno = code,
                         .for_ever = for_ever});
    } else if (what == 5) {
        save_in_trouble("death", {.at_call = call(600), .crash = true});
    } else if (what == 6) {
        roll_back();
    } else if (what == 7) {
        change_limits();
    } else if (what == 8) {
        tell("start again");
        start();
    } else if (what == 9) {
        damage_something();
    } else if (what == 10 && last_ && std::filesystem::exists(last_->path)) {
        tell("link into best");
        ASSERT_TRUE(opened_->run.link(*last_, Pool::kBest, shared_buffers()).ok());
    } else {
        save_something();
    }
}

void RetentionLives::live(std::uint32_t seed) {
    random_.seed(seed);
    story_ = "seed " + std::to_string(seed) + '\n';
    opened_.reset();
    std::filesystem::remove_all(dir_);
    newest_.reset();
    last_.reset();
    ancestors_.clear();
    lineage_ = 1;
    step_ = 0;
    change_limits();
    start();
    publish(Pool::kRolling, {});
    std::set<std::pair<Pool, Identity>> kept_for_ever;
    for (int i = 0; i < kEvents && !HasFatalFailure(); ++i) {
        event();
        if (!HasFatalFailure()) {
            tidy_and_check(true);
        }
        std::set<std::pair<Pool, Identity>> now;
        for (const Entry& entry : on_disk().entries) {
            if (entry.usable() && (entry.pool == Pool::kEpoch || entry.pool == Pool::kKeep)) {
                now.insert({entry.pool, entry.manifest.identity});
            }
        }
        ASSERT_TRUE(
            std::includes(now.begin(), now.end(), kept_for_ever.begin(), kept_for_ever.end()));
        kept_for_ever = now;
    }
    start();
}

TEST_P(RetentionLives, P1_NoLifeLosesWhatItMustKeepOrKeepsWhatMustGo) {
    const char* lives = std::getenv("HOLDFAST_LIVES");
    const std::uint32_t count =
        lives == nullptr ? kLivesOfACase : static_cast<std::uint32_t>(std::atoi(lives));
    for (std::uint32_t i = 0; i < count; ++i) {
        live(GetParam() + kCases * i);
        ASSERT_FALSE(HasFailure()) << story_;
    }
}

INSTANTIATE_TEST_SUITE_P(Retention, RetentionLives, ::testing::Range(0U, kCases));

}  // namespace
}  // namespace holdfast::checkpoint
