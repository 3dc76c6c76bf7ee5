#include "dist/rank_watch.h"

#include <atomic>
#include <csignal>
#include <optional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/clock.h"

namespace holdfast::dist {
namespace {

using testing::HasSubstr;

bool eventually(const std::function<bool()>& condition) {
    const double begin = base::monotonic_seconds();
    while (!condition()) {
        if (base::monotonic_seconds() - begin > 30) {
            return false;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return true;
}

class Watch : public testing::Test {
protected:
    Watch() {
        server_ = RankStore::open({.host = "127.0.0.1", .port = 0, .serves = true, .token = "test"})
                      .value();
    }

    std::unique_ptr<RankWatch> watch(int rank, double lost_seconds = 1) {
        RankWatchOptions options;
        options.rank = rank;
        options.size = 2;
        options.beat_seconds = 0.1;
        options.lost_seconds = lost_seconds;
        options.on_signal = [this](int number) { signal_.store(number); };
        options.heard_signal = [this, rank] { return rank == 1 ? heard_.load() : 0; };
        options.on_lost = [this](const LostRank& lost) {
            const std::lock_guard lock(mutex_);
            lost_.push_back(lost.words);
        };
        return std::make_unique<RankWatch>(server_->connect_again().value(), options);
    }
    std::vector<std::string> lost() {
        const std::lock_guard lock(mutex_);
        return lost_;
    }

    std::unique_ptr<RankStore> server_;
    std::atomic<int> signal_{0};
    std::atomic<int> heard_{0};
    std::mutex mutex_;
    std::vector<std::string> lost_;
};

TEST_F(Watch, RanksThatBeatAreNotLost) {
    const auto first = watch(0);
    const auto second = watch(1);
    std::this_thread::sleep_for(std::chrono::milliseconds(2500));
    EXPECT_TRUE(lost().empty());
}

TEST_F(Watch, ARankThatFallsSilentIsToldOnceWithHostAndStep) {
    const auto first = watch(0);
    auto second = watch(1);
    second->note_step(41);
    std::this_thread::sleep_for(std::chrono::milliseconds(600));
    second->end();
    ASSERT_TRUE(eventually([&] { return !lost().empty(); }));
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    ASSERT_EQ(lost().size(), 1U);
    EXPECT_THAT(lost().front(), HasSubstr("rank 1 (host "));
    EXPECT_THAT(lost().front(), HasSubstr("has not answered for"));
    EXPECT_THAT(lost().front(), HasSubstr("its last step was 41"));
}

TEST_F(Watch, ASignalThatOneRankHeardReachesRank0) {
    const auto first = watch(0);
    const auto second = watch(1);
    heard_.store(SIGTERM);
    EXPECT_TRUE(eventually([&] { return signal_.load() == SIGTERM; }));
}

TEST_F(Watch, WhoIsGoneIsFoundBeforeItsSilenceTellsIt) {
    const auto first = watch(0, 60);
    auto second = watch(1, 60);
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    EXPECT_FALSE(first->find_lost().has_value());
    second->end();
    const std::optional<LostRank> gone = first->find_lost();
    ASSERT_TRUE(gone.has_value());
    EXPECT_EQ(gone->rank, 1);
    EXPECT_THAT(gone->words, HasSubstr("is gone"));
    EXPECT_TRUE(lost().empty());
}

TEST_F(Watch, WhoEndedForAReasonIsToldWithIt) {
    const auto first = watch(0, 60);
    const auto second = watch(1, 60);
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    second->tell_failure("its data is other data");
    EXPECT_THAT(first->find_lost().value().words, HasSubstr("ended: its data is other data"));
}

TEST_F(Watch, AStoreThatIsGoneIsRank0) {
    auto second = watch(1);
    server_.reset();
    ASSERT_TRUE(eventually([&] { return !lost().empty(); }));
    EXPECT_THAT(lost().front(), HasSubstr("rank 0"));
}

}  // namespace
}  // namespace holdfast::dist
