#include "dist/exchange_check.h"

#include <gtest/gtest.h>

#include "dist/rank_threads.h"

namespace holdfast::dist {
namespace {

TEST(ExchangeCheck, FindsNothingAmongRanksOfOneAndOfTwoNodes) {
    for (const auto& [size, local_size] :
         {std::pair(2, 2), std::pair(4, 4), std::pair(4, 2), std::pair(2, 1)}) {
        run_ranks(size, local_size, [](Communicator& group) {
            const base::Status status = self_check(group, c10::Device(c10::kCPU));
            EXPECT_TRUE(status.ok()) << status.error().what;
        });
    }
}

}  // namespace
}  // namespace holdfast::dist
