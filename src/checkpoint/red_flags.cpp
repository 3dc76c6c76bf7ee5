#include "checkpoint/red_flags.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "base/words.h"
#include "checkpoint/ancestry.h"

namespace holdfast::checkpoint {

namespace {

std::optional<std::string> pool_above_limit(Pool pool,
                                            const Catalog& catalog,
                                            const RetentionLimits& limits) {
    const auto newest = newest_points(catalog);
    std::int64_t count = 0;
    std::int64_t newest_count = 0;
    std::int64_t owing_count = 0;
    for (const Entry& entry : catalog.entries) {
        if (entry.pool != pool || !entry.usable()) {
            continue;
        }
        const Identity& identity = entry.manifest.identity;
        ++count;
        newest_count += newest.contains({identity.lineage, identity.step}) ? 1 : 0;
        owing_count += outstanding_pools(entry, catalog).empty() ? 0 : 1;
    }
    const std::int64_t limit = limit_of(pool, limits);
    if (count <= std::max(limit, newest_count)) {
        return std::nullopt;
    }
    std::string reason;
    if (!knows_current_line(catalog)) {
        reason = "; none goes while it is not certain which line is the current one";
    } else if (owing_count > 0) {
        reason = fmt::format("; {} cannot go while they still owe another pool", owing_count);
    }
    return fmt::format("the pool {} holds {} checkpoints, at most {} are to be kept{}",
                       to_string(pool),
                       count,
                       limit,
                       reason);
}

std::optional<std::string> unlike_the_last(const Catalog& catalog) {
    const std::vector<const Entry*> line = resume_candidates(catalog);
    if (line.empty()) {
        return std::nullopt;
    }
    const Entry& newest = *line.front();
    const auto before = std::find_if(line.begin(), line.end(), [&](const Entry* entry) {
        return entry->manifest.identity.step != newest.manifest.identity.step;
    });
    if (before == line.end()) {
        return std::nullopt;
    }
    const std::uint64_t bytes = newest.manifest.files_bytes();
    const std::uint64_t bytes_before = (*before)->manifest.files_bytes();
    if (bytes <= 2 * bytes_before && 2 * bytes >= bytes_before) {
        return std::nullopt;
    }
    return fmt::format("{} has {}, {} before it has {}: the same state should take the same bytes",
                       newest.label(),
                       base::bytes_in_words(bytes),
                       (*before)->label(),
                       base::bytes_in_words(bytes_before));
}

}  // namespace

std::vector<std::string> red_flags(const Catalog& catalog,
                                   const RetentionLimits& limits,
                                   const ReclaimReport& report) {
    std::vector<std::string> flags;
    for (const Pool pool : kAllPools) {
        if (auto flag = pool_above_limit(pool, catalog, limits)) {
            flags.push_back(std::move(*flag));
        }
    }
    for (const std::string& why : catalog.unreadable) {
        flags.push_back(fmt::format("{}: nothing holds this pool to its limit until it can", why));
    }
    if (auto flag = unlike_the_last(catalog)) {
        flags.push_back(std::move(*flag));
    }
    for (const std::string& failure : report.failures) {
        flags.push_back(fmt::format("{}; tried again after the next save", failure));
    }
    return flags;
}

}  // namespace holdfast::checkpoint
