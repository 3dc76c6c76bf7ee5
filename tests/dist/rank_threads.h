// Ranks of a run as threads of the test, joined through a store on the loopback.
#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "dist/communicator.h"
#include "dist/rank_store.h"

namespace holdfast::dist {

// Calls `work` as each of `size` ranks at once, `local_size` of them on a node. What a rank throws
// fails the test.
inline void run_ranks(int size, int local_size, const std::function<void(Communicator&)>& work) {
    const auto bound = bind_socket("127.0.0.1", 0);
    ASSERT_TRUE(bound.ok()) << bound.error().what;
    std::vector<std::thread> threads;
    std::vector<std::exception_ptr> failures(static_cast<std::size_t>(size));
    for (int rank = 0; rank < size; ++rank) {
        threads.emplace_back([&, rank] {
            try {
                const auto store = RankStore::open({.host = "127.0.0.1",
                                                    .port = bound.value().port,
                                                    .serves = rank == 0,
                                                    .listen_fd = rank == 0 ? bound.value().fd : -1,
                                                    .token = "test"});
                if (!store.ok()) {
                    throw std::runtime_error(store.error().what);
                }
                const auto group = Communicator::form(*store.value(),
                                                      {.shape = {.rank = rank,
                                                                 .size = size,
                                                                 .local_rank = rank % local_size,
                                                                 .local_size = local_size},
                                                       .join_timeout_seconds = 30,
                                                       .timeout_seconds = 30},
                                                      c10::Device(c10::kCPU));
                if (!group.ok()) {
                    throw std::runtime_error(group.error().what);
                }
                work(*group.value());
                // The server's thread must not leave before the others.
                const std::int64_t done = 1;
                static_cast<void>(group.value()->gather_words({&done, 1}));
            } catch (...) {
                failures.at(static_cast<std::size_t>(rank)) = std::current_exception();
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    for (const std::exception_ptr& failure : failures) {
        if (failure) {
            EXPECT_NO_THROW(std::rethrow_exception(failure));
        }
    }
}

}  // namespace holdfast::dist
