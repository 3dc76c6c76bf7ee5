#include "dist/rank_watch.h"

#include <array>
#include <chrono>
#include <utility>

#include <unistd.h>

#include <fmt/format.h>

#include "base/clock.h"

namespace holdfast::dist {

using base::Result;

namespace {

constexpr double kPollSeconds = 0.2;
// In which a living rank beats.
constexpr double kFindSeconds = 2.5;

const std::string kFoundKey = "lost";

std::string beat_key(int rank) {
    return fmt::format("beat/{}", rank);
}

std::string failure_key(int rank) {
    return fmt::format("failed/{}", rank);
}

std::string who_am_i() {
    std::array<char, 256> host{};
    if (::gethostname(host.data(), host.size() - 1) != 0) {
        host.at(0) = '?';
    }
    return fmt::format("host {}, process {}", host.data(), ::getpid());
}

}  // namespace

// A beat reads "12;340;host a, process 4711": count, step, who.
RankWatch::RankWatch(std::unique_ptr<RankStore> store, RankWatchOptions options)
    : store_(std::move(store)),
      options_(std::move(options)),
      who_(who_am_i()),
      seen_(static_cast<std::size_t>(options_.size)) {
    for (Seen& seen : seen_) {
        seen.changed_seconds = base::monotonic_seconds();
    }
    thread_ = std::thread([this] { run(); });
}

RankWatch::~RankWatch() {
    end();
}

void RankWatch::end() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) {
        thread_.join();
    }
}

bool RankWatch::wait(double seconds) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(
        lock, std::chrono::duration<double>(seconds), [this] { return stopping_; });
}

void RankWatch::run() {
    double next_beat_seconds = 0;
    while (!wait(kPollSeconds)) {
        const std::lock_guard lock(store_mutex_);
        pass_signals();
        const double now = base::monotonic_seconds();
        if (now >= next_beat_seconds) {
            next_beat_seconds = now + options_.beat_seconds;
            beat();
            look();
        }
    }
}

void RankWatch::beat() {
    // A store that does not answer is met by look().
    static_cast<void>(
        store_->set(beat_key(options_.rank), fmt::format("{};{};{}", ++beats_, step_.load(), who_))
            .ok());
}

void RankWatch::pass_signals() {
    if (options_.rank == 0) {
        const Result<std::optional<std::string>> signal = store_->try_get("signal");
        if (signal.ok() && signal.value() && !std::exchange(passed_signal_, true) &&
            options_.on_signal) {
            options_.on_signal(std::atoi(signal.value()->c_str()));
        }
        return;
    }
    const int heard = options_.heard_signal ? options_.heard_signal() : 0;
    if (heard != 0 && !std::exchange(passed_signal_, true)) {
        static_cast<void>(store_->set("signal", fmt::format("{}", heard)).ok());
    }
}

LostRank RankWatch::describe(int rank, const std::string& what) const {
    const std::string& beat = seen_.at(static_cast<std::size_t>(rank)).beat;
    const std::size_t step_at = beat.find(';');
    const std::size_t who_at = beat.find(';', step_at + 1);
    if (step_at == std::string::npos || who_at == std::string::npos) {
        return {rank, fmt::format("rank {} {}", rank, what)};
    }
    return {rank,
            fmt::format("rank {} ({}) {}; its last step was {}",
                        rank,
                        beat.substr(who_at + 1),
                        what,
                        beat.substr(step_at + 1, who_at - step_at - 1))};
}

void RankWatch::lose(const LostRank& lost) {
    static_cast<void>(store_->set(kFoundKey, fmt::format("{} {}", lost.rank, lost.words)).ok());
    if (!std::exchange(lost_, true) && options_.on_lost) {
        options_.on_lost(lost);
    }
}

bool RankWatch::look_at(int rank) {
    Seen& seen = seen_.at(static_cast<std::size_t>(rank));
    const Result<std::optional<std::string>> beat = store_->try_get(beat_key(rank));
    if (!beat.ok()) {
        return false;
    }
    if (beat.value() && *beat.value() != seen.beat) {
        seen = {*beat.value(), base::monotonic_seconds()};
    }
    return true;
}

void RankWatch::look() {
    const int first = options_.rank == 0 ? 1 : 0;
    const int last = options_.rank == 0 ? options_.size : 1;
    for (int rank = first; rank < last; ++rank) {
        if (!look_at(rank)) {
            // Rank 0 serves the store.
            lose(describe(0, "is gone: its store does not answer"));
            return;
        }
        const double silent =
            base::monotonic_seconds() - seen_.at(static_cast<std::size_t>(rank)).changed_seconds;
        if (silent > options_.lost_seconds) {
            lose(describe(rank, fmt::format("has not answered for {:.0f} s", silent)));
            return;
        }
    }
}

void RankWatch::tell_failure(const std::string& why) {
    const std::lock_guard lock(store_mutex_);
    static_cast<void>(store_->set(failure_key(options_.rank), why).ok());
}

std::optional<LostRank> RankWatch::find_told_or_unreachable() {
    const std::lock_guard lock(store_mutex_);
    // Who has found out already has left by now, and is not the one that was lost.
    const Result<std::optional<std::string>> found = store_->try_get(kFoundKey);
    if (found.ok() && found.value()) {
        return LostRank{std::atoi(found.value()->c_str()),
                        found.value()->substr(found.value()->find(' ') + 1)};
    }
    for (int rank = 0; rank < options_.size; ++rank) {
        if (rank == options_.rank) {
            continue;
        }
        const Result<std::optional<std::string>> why = store_->try_get(failure_key(rank));
        if (!why.ok() || !look_at(rank)) {
            return describe(0, "is gone: its store does not answer");
        }
        if (why.value()) {
            return describe(rank, "ended: " + *why.value());
        }
    }
    return std::nullopt;
}

std::optional<LostRank> RankWatch::find_lost() {
    // The first look learns the beats, those after it whether they go on.
    std::optional<LostRank> lost = find_told_or_unreachable();
    const double begin = base::monotonic_seconds();
    while (!lost && base::monotonic_seconds() - begin < kFindSeconds && !wait(kPollSeconds)) {
        lost = find_told_or_unreachable();
    }
    const std::lock_guard lock(store_mutex_);
    for (int rank = 0; !lost && rank < options_.size; ++rank) {
        if (rank != options_.rank &&
            seen_.at(static_cast<std::size_t>(rank)).changed_seconds < begin) {
            lost = describe(rank, "is gone");
        }
    }
    if (lost) {
        static_cast<void>(
            store_->set(kFoundKey, fmt::format("{} {}", lost->rank, lost->words)).ok());
    }
    return lost;
}

}  // namespace holdfast::dist
