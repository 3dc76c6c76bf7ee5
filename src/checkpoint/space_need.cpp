#include "checkpoint/space_need.h"

#include <algorithm>
#include <limits>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "checkpoint/pending_save.h"

namespace holdfast::checkpoint {

namespace {

template <typename Whole>
Whole saturating_sum(Whole a, Whole b) {
    Whole sum = 0;
    return __builtin_add_overflow(a, b, &sum) ? std::numeric_limits<Whole>::max() : sum;
}

std::uint64_t saturating_product(std::int64_t count, std::uint64_t bytes) {
    std::uint64_t product = 0;
    return __builtin_mul_overflow(static_cast<std::uint64_t>(count), bytes, &product)
               ? std::numeric_limits<std::uint64_t>::max()
               : product;
}

// Adds up what one disk needs.
class NeedBuilder {
public:
    NeedBuilder(const Catalog& catalog, const SpacePlan& plan) : catalog_(catalog), plan_(plan) {}

    // What the pool comes to hold.
    void add(Pool pool, std::int64_t saves_to_come) {
        std::int64_t present = 0;
        for (const Entry& entry : catalog_.entries) {
            if (entry.pool != pool || !entry.usable()) {
                continue;
            }
            ++present;
            if (counted_.insert({entry.device, entry.inode}).second) {
                need_.present_bytes = saturating_sum(need_.present_bytes, entry.bytes);
            }
        }
        add_part(std::min(limit_of(pool, plan_.limits), saturating_sum(present, saves_to_come)),
                 to_string(pool));
    }
    // A new entry is published before an old one goes.
    void add_one_being_written() { add_part(1, "being written"); }

    DiskNeed finish() {
        // A store above limits that were lowered shrinks with the next save, which needs room
        // first.
        const std::uint64_t missing =
            need_.bytes > need_.present_bytes ? need_.bytes - need_.present_bytes : 0;
        need_.to_come_bytes = need_.parts.empty() ? 0 : std::max(missing, plan_.checkpoint_bytes);
        return std::move(need_);
    }

private:
    void add_part(std::int64_t count, std::string_view words) {
        if (count > 0) {
            need_.parts.push_back({count, words});
            need_.bytes =
                saturating_sum(need_.bytes, saturating_product(count, plan_.checkpoint_bytes));
        }
    }

    const Catalog& catalog_;
    const SpacePlan& plan_;
    std::set<std::pair<std::uint64_t, std::uint64_t>> counted_;
    DiskNeed need_;
};

}  // namespace

std::uint64_t DiskNeed::missing_bytes(std::uint64_t free_bytes) const {
    const std::uint64_t wanted = saturating_sum(to_come_bytes, kSpaceMarginBytes);
    return wanted > free_bytes ? wanted - free_bytes : 0;
}

std::string DiskNeed::in_words() const {
    std::vector<std::string> words;
    words.reserve(parts.size());
    for (const SpacePart& part : parts) {
        words.push_back(fmt::format("{} {}", part.count, part.words));
    }
    return fmt::format("{}", fmt::join(words, ", "));
}

SpaceNeed plan_space(const Catalog& catalog, const SpacePlan& plan) {
    const SavesToCome& to_come = plan.to_come;
    NeedBuilder run(catalog, plan);
    run.add(Pool::kRolling, to_come.rolling);
    run.add_one_being_written();
    run.add(Pool::kEmergency, std::numeric_limits<std::int64_t>::max());
    run.add(Pool::kBest, to_come.best);
    run.add(Pool::kEpoch, to_come.epochs);
    run.add(Pool::kKeep, to_come.kept);
    NeedBuilder other(catalog, plan);
    if (plan.backup != BackupPlace::kNone) {
        NeedBuilder& backup = plan.backup == BackupPlace::kRunDisk ? run : other;
        backup.add(Pool::kBackupRolling, to_come.rolling);
        backup.add(Pool::kBackupBest, to_come.best);
        backup.add_one_being_written();
    }
    SpaceNeed need;
    need.run = run.finish();
    need.backup = other.finish();
    return need;
}

bool backup_fits(const Catalog& catalog,
                 SpacePlan plan,
                 BackupPlace place,
                 std::uint64_t free_bytes) {
    plan.backup = place;
    const SpaceNeed need = plan_space(catalog, plan);
    return (place == BackupPlace::kRunDisk ? need.run : need.backup).missing_bytes(free_bytes) == 0;
}

}  // namespace holdfast::checkpoint
