// Method: crash_exploration.h, over the life of recorded_life.h, one act a test. The protocol is
// then mutated, one wait or one order at a time: each mutation must be found, so that the
// exploration is known to see and every wait is known to be needed.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <iterator>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "base/log.h"
#include "crash_exploration.h"
#include "sync_site.h"

namespace holdfast::checkpoint {
namespace {

// A sanitizer makes each state some twenty times as dear.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

ExplorationOptions default_options() {
    ExplorationOptions options;
    if (kSanitized) {
        options.bounds = {.exhaustive_max = 8, .pairs_max = 1, .samples = 1};
    }
    return options;
}

// Every state sets something aside or clears something up, and says so: thousands of lines.
class Quiet {
public:
    Quiet() {
        base::capture_log([](base::LogLevel, std::string_view) {});
    }
    ~Quiet() { base::capture_log(nullptr); }
    Quiet(const Quiet&) = delete;
    Quiet& operator=(const Quiet&) = delete;
    Quiet(Quiet&&) = delete;
    Quiet& operator=(Quiet&&) = delete;
};

struct ActToExplore {
    Act act = Act::kOpening;
    std::uint64_t states_wanted = 0;
};

class CrashState : public ::testing::TestWithParam<ActToExplore> {
protected:
    Quiet quiet_;
};

class CrashStateOfDrawnLives : public ::testing::Test {
protected:
    Quiet quiet_;
};

TEST_P(CrashState, P1_EveryPowerCutLeavesAResumePoint) {
    CrashExploration exploration(default_options());
    const RecordedAct act = record_act(GetParam().act);
    const std::uint64_t wanted = GetParam().states_wanted / (kSanitized ? 20 : 1);
    for (std::uint64_t seed = 0;
         exploration.distinct_states() < wanted && exploration.violations().empty();
         ++seed) {
        ASSERT_LT(seed, 1000U) << "only " << exploration.distinct_states() << " states";
        exploration.explore(act, seed);
    }
    for (const std::string& violation : exploration.violations()) {
        ADD_FAILURE() << violation;
    }
    std::printf("%s: %zu operations, %llu states, %llu of them of starts cut short\n",
                act.name.c_str(),
                act.operations.size(),
                static_cast<unsigned long long>(exploration.distinct_states()),
                static_cast<unsigned long long>(exploration.nested_states()));
}

// 12,500 states in all. The acts are of different times of one life: they share a few at their
// borders.
INSTANTIATE_TEST_SUITE_P(Life,
                         CrashState,
                         ::testing::Values(ActToExplore{Act::kOpening, 2000},
                                           ActToExplore{Act::kPools, 2000},
                                           ActToExplore{Act::kRetention, 2000},
                                           ActToExplore{Act::kLeftovers, 2000},
                                           ActToExplore{Act::kRepair, 500},
                                           ActToExplore{Act::kRollback, 2000},
                                           ActToExplore{Act::kParts, 2000}),
                         [](const auto& of) {
                             return std::string(
                                 kActNames.at(static_cast<std::size_t>(of.param.act)));
                         });

// A few states of each: the soak explores them in full.
TEST_F(CrashStateOfDrawnLives, P1_EveryPowerCutLeavesAResumePoint) {
    ExplorationOptions options = default_options();
    options.bounds = {.exhaustive_max = 4, .pairs_max = 1, .samples = 1};
    options.nested_bounds = options.bounds;
    options.cut_one_in = kSanitized ? 256 : 32;
    CrashExploration exploration(options);
    constexpr std::uint64_t kLives = 6;
    for (std::uint64_t life = 2; life < 2 + kLives && exploration.violations().empty(); ++life) {
        for (std::size_t act = 0; act < kActCount; ++act) {
            exploration.explore(record_act(static_cast<Act>(act), life), life);
        }
    }
    for (const std::string& violation : exploration.violations()) {
        ADD_FAILURE() << violation;
    }
    std::printf("drawn lives: %llu states, %llu of them of starts cut short\n",
                static_cast<unsigned long long>(exploration.distinct_states()),
                static_cast<unsigned long long>(exploration.nested_states()));
}

// The exploration of an act ends at its first violation; empty: none.
std::string first_violation(const RecordedAct& act, ExplorationOptions options) {
    if (!kSanitized) {
        options.bounds = {.exhaustive_max = 32, .pairs_max = 8, .samples = 8};
    }
    options.nested_one_in = 0;
    CrashExploration exploration(std::move(options));
    exploration.explore(act);
    return exploration.violations().empty() ? "" : exploration.violations().front();
}

// A wait of the protocol, and the act in which it is left out. `kept_because`: leaving it out
// breaks nothing on a file system that renames atomically; why it is there all the same.
struct Wait {
    std::string site;
    Act act = Act::kOpening;
    std::string kept_because{};
};

class CrashStateWithout : public ::testing::TestWithParam<Wait> {
protected:
    Quiet quiet_;
};

// Leaves every wait of that site out. Counts them.
ExplorationOptions without(const std::string& site, std::size_t& count) {
    ExplorationOptions options = default_options();
    options.left_out = [site, &count](const RecordedAct& act, std::size_t operation) {
        const bool is_it = sync_site(act, operation) == site;
        count += is_it ? 1 : 0;
        return is_it;
    };
    return options;
}

TEST_P(CrashStateWithout, P1_EverySyncIsNeeded) {
    if (kSanitized && !GetParam().kept_because.empty()) {
        GTEST_SKIP() << "finding nothing takes a whole act, which is shown without a sanitizer";
    }
    const RecordedAct act = record_act(GetParam().act);
    std::size_t left_out = 0;
    const std::string violation = first_violation(act, without(GetParam().site, left_out));
    EXPECT_GT(left_out, 0U) << "the act has no such wait";
    std::printf("%s: %s\n", GetParam().site.c_str(), violation.substr(0, 200).c_str());
    EXPECT_EQ(violation.empty(), !GetParam().kept_because.empty()) << violation;
}

const std::vector<Wait>& waits() {
    // A rename is durable with its new name; the old one is waited for too, for file systems that
    // write the two directories apart.
    const std::string apart = "the old name, where directories are written apart";
    const std::string rebuilt = "run.json is rebuilt from a checkpoint, but should not have to be";
    const std::string again = "publishing waits for the same directory, but not before it begins";
    static const std::vector<Wait> kWaits{
        {"tensor file", Act::kOpening},
        {"manifest", Act::kOpening},
        {"pending directory", Act::kOpening},
        {"pool after publishing", Act::kOpening},
        {"pending root after publishing", Act::kOpening, apart},
        {"log", Act::kOpening},
        {"run.json", Act::kOpening, rebuilt},
        {"name of run.json", Act::kOpening, rebuilt},
        {"name of latest", Act::kOpening, "a hint for people"},
        {"folders of the run", Act::kOpening, again},
        {"name of the run", Act::kOpening},
        {"folders of the backup", Act::kOpening, again},
        {"log cut", Act::kPools, "the next start cuts again; until then a reader sees steps twice"},
        {"log tail", Act::kPools},
        {"name of the log tail", Act::kPools},
        {"backup tensor file", Act::kPools},
        {"backup manifest", Act::kPools},
        {"backup pending directory", Act::kPools},
        {"backup pool after publishing", Act::kPools},
        {"backup pending root after publishing", Act::kPools, apart},
        {"pool after deleting", Act::kRetention, apart},
        {"trash after deleting", Act::kRetention},
        {"backup pool after deleting", Act::kRetention, apart},
        {"backup trash after deleting", Act::kRetention},
        {"pool after quarantine", Act::kRepair, apart},
        {"quarantine", Act::kRepair},
        {"shared tensor file", Act::kParts},
    };
    return kWaits;
}

INSTANTIATE_TEST_SUITE_P(OneWait,
                         CrashStateWithout,
                         ::testing::ValuesIn(waits()),
                         [](const auto& of) {
                             std::string name = of.param.site;
                             std::erase_if(name, [](char c) { return c == '.'; });
                             std::replace(name.begin(), name.end(), ' ', '_');
                             return name;
                         });

TEST(CrashStateWaits, AllOfTheProtocolAreListed) {
    const Quiet quiet;
    std::set<std::string> listed;
    for (const Wait& wait : waits()) {
        listed.insert(wait.site);
    }
    for (std::size_t i = 0; i < kActCount; ++i) {
        const RecordedAct act = record_act(static_cast<Act>(i));
        for (std::size_t operation = 0; operation < act.operations.size(); ++operation) {
            const std::string site = sync_site(act, operation);
            const fs::DiskOperation& sync = act.operations[operation];
            EXPECT_TRUE(!sync.is_sync() || listed.contains(site))
                << act.name << " waits for " << sync.path << ", which is no listed site: " << site;
        }
    }
}

// The operations that `moves` picks, in their order, before operation `to`.
template <typename Moves>
RecordedAct reordered(RecordedAct act, std::size_t to, Moves moves) {
    std::vector<fs::DiskOperation> before;
    std::vector<fs::DiskOperation> moved;
    std::vector<fs::DiskOperation> after;
    for (std::size_t i = 0; i < act.operations.size(); ++i) {
        auto& list = moves(i) ? moved : (i < to ? before : after);
        list.push_back(act.operations[i]);
    }
    before.insert(before.end(), moved.begin(), moved.end());
    before.insert(before.end(), after.begin(), after.end());
    act.operations = std::move(before);
    return act;
}

// The n-th operation (from 1) that fits.
template <typename Fits>
std::size_t find_nth(const RecordedAct& act, int n, Fits fits) {
    for (std::size_t i = 0; i < act.operations.size(); ++i) {
        if (fits(act.operations[i]) && --n == 0) {
            return i;
        }
    }
    ADD_FAILURE() << "no such operation";
    return 0;
}

bool is_publishing(const fs::DiskOperation& operation) {
    return operation.kind == fs::DiskOperation::Kind::kRename &&
           parse_pending_name(fs::name_of(operation.path_from)) &&
           operation.path.starts_with(kRunPath + "/rolling/");
}

TEST(CrashStateOrder, P1_TheNameBeforeTheBytesIsFound) {
    const Quiet quiet;
    const RecordedAct act = record_act(Act::kOpening);
    // All waits of the second save's files and of its directory after it is published.
    const std::size_t first = find_nth(act, 1, is_publishing);
    const std::size_t second = find_nth(act, 2, is_publishing);
    const RecordedAct wrong = reordered(act, second + 3, [&](std::size_t i) {
        return i > first && i < second && act.operations[i].is_sync() &&
               act.operations[i].path.find(".pending-") != std::string::npos;
    });
    EXPECT_EQ(first_violation(act, default_options()), "");
    EXPECT_NE(first_violation(wrong, default_options()), "");
}

TEST(CrashStateOrder, P1_DeletingBeforePublishingIsFound) {
    const Quiet quiet;
    const RecordedAct act = record_act(Act::kRetention);
    const std::size_t second = find_nth(act, 2, is_publishing);
    const std::size_t third = find_nth(act, 3, is_publishing);
    const std::size_t deleting = find_nth(act, 1, [&](const fs::DiskOperation& operation) {
        return &operation > &act.operations[second] &&
               fs::parent_of(operation.path).ends_with("/.trash");
    });
    const RecordedAct wrong =
        reordered(act, second, [&](std::size_t i) { return i >= deleting && i < third; });
    EXPECT_NE(first_violation(wrong, default_options()), "");
}

TEST(CrashStateOrder, LatestBeforeThePoolIsFound) {
    const Quiet quiet;
    const RecordedAct act = record_act(Act::kOpening);
    const std::size_t second = find_nth(act, 2, is_publishing);
    const std::size_t latest = find_nth(act, 2, [](const fs::DiskOperation& operation) {
        return operation.path.ends_with("/latest.new");
    });
    const RecordedAct wrong =
        reordered(act, second, [&](std::size_t i) { return i >= latest && i < latest + 3; });
    EXPECT_NE(first_violation(wrong, default_options()), "");
}

}  // namespace
}  // namespace holdfast::checkpoint
