// Looks after the ranks of a run beside the step loop, through the store.
//
// Every rank writes a beat each second: who it is, and its step. Rank 0 looks at all beats, the
// others at rank 0's. A rank whose beat stands still for `lost_seconds` is lost: it is dead,
// stopped or cut off, and the step loop may be waiting for it in a call that does not come back, so
// `on_lost` is called from the watch's own thread, once, and is expected to end the process. What a
// rank has to tell rank 0 (a signal that it alone heard) travels the same way.
//
// Owns the thread (joined by the destructor) and the connection. Public calls from any thread;
// find_lost() blocks, the others do not.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "dist/rank_store.h"

namespace holdfast::dist {

struct LostRank {
    int rank = 0;
    std::string words;  // "rank 2 (host b, process 4711) has not answered for 30 s; its last step
                        // was 120"
};

struct RankWatchOptions {
    int rank = 0;
    int size = 1;
    double beat_seconds = 1;
    double lost_seconds = 30;
    // Rank 0: a signal that another rank heard.
    std::function<void(int signal_number)> on_signal;
    // Asked each time whether this rank has heard one: its number, or 0.
    std::function<int()> heard_signal;
    std::function<void(const LostRank&)> on_lost;
};

class RankWatch {
public:
    RankWatch(std::unique_ptr<RankStore> store, RankWatchOptions options);
    ~RankWatch();
    RankWatch(const RankWatch&) = delete;
    RankWatch& operator=(const RankWatch&) = delete;
    RankWatch(RankWatch&&) = delete;
    RankWatch& operator=(RankWatch&&) = delete;

    void note_step(std::int64_t step) { step_.store(step); }
    // Why this rank ends, for the others to tell.
    void tell_failure(const std::string& why);
    // After a call to all ranks failed: who is gone, and why, as far as it can be known within some
    // seconds. Of several the one that told its reason.
    std::optional<LostRank> find_lost();
    // Nobody is looked for any more: the run ends, and ranks leave one by one. Joins the thread.
    void end();

private:
    struct Seen {
        std::string beat;
        double changed_seconds = 0;
    };
    void run();
    void beat();
    void pass_signals();
    void look();
    bool look_at(int rank);
    std::optional<LostRank> find_told_or_unreachable();
    [[nodiscard]] LostRank describe(int rank, const std::string& what) const;
    void lose(const LostRank& lost);
    bool wait(double seconds);

    std::unique_ptr<RankStore> store_;
    RankWatchOptions options_;
    std::string who_;  // host and process
    std::atomic<std::int64_t> step_{0};

    std::mutex store_mutex_;  // guards store_ and all below
    std::int64_t beats_ = 0;
    bool passed_signal_ = false;
    bool lost_ = false;
    std::vector<Seen> seen_;  // by rank

    std::mutex mutex_;
    std::condition_variable changed_;
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace holdfast::dist
