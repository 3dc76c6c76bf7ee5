#include "kernels/caching_cpu_allocator.h"

#include <cstdint>
#include <cstring>
#include <thread>
#include <vector>

#include <ATen/Parallel.h>
#include <c10/core/CPUAllocator.h>
#include <c10/util/Exception.h>
#include <gtest/gtest.h>

#include "kernels/kernel_cases.h"

namespace holdfast::kernels {
namespace {

std::uintptr_t address(const void* data) {
    return reinterpret_cast<std::uintptr_t>(data);
}

TEST(CachingCpuAllocator, EveryBlockIsAlignedAndWritable) {
    CachingCpuAllocator allocator;
    std::vector<c10::DataPtr> blocks;
    for (std::size_t bytes = 1; bytes < (std::size_t{5} << 20U); bytes = bytes * 5 / 4 + 1) {
        blocks.push_back(allocator.allocate(bytes));
        EXPECT_EQ(address(blocks.back().get()) % 64, 0U) << bytes;
        std::memset(blocks.back().get(), 0x5A, bytes);
    }
}

TEST(CachingCpuAllocator, WastesAtMostOneThirtySecondAndAHeader) {
    for (std::size_t bytes = 1; bytes < (std::size_t{1} << 24U); bytes = bytes * 17 / 16 + 1) {
        CachingCpuAllocator allocator;
        const c10::DataPtr block = allocator.allocate(bytes);
        const auto held = static_cast<std::size_t>(allocator.statistics().held_bytes);
        EXPECT_GE(held, bytes + 64);
        EXPECT_LE(held, (bytes + 64) * 33 / 32 + 64) << bytes;
    }
}

TEST(CachingCpuAllocator, ReusesABlockOfTheSameClass) {
    CachingCpuAllocator allocator;
    c10::DataPtr first = allocator.allocate(1000000);
    const void* where = first.get();
    first.clear();
    const c10::DataPtr second = allocator.allocate(999990);
    EXPECT_EQ(second.get(), where);
    EXPECT_EQ(allocator.statistics().system_allocations, 1);
}

TEST(CachingCpuAllocator, CountsWhatIsHeldAndInUse) {
    CachingCpuAllocator allocator;
    EXPECT_EQ(allocator.statistics().held_bytes, 0);
    c10::DataPtr block = allocator.allocate(100);
    EXPECT_GE(allocator.statistics().in_use_bytes, 100);
    EXPECT_EQ(allocator.statistics().in_use_bytes, allocator.statistics().held_bytes);
    block.clear();
    EXPECT_EQ(allocator.statistics().in_use_bytes, 0);
    EXPECT_GE(allocator.statistics().held_bytes, 100);
    allocator.release_waiting();
    EXPECT_EQ(allocator.statistics().held_bytes, 0);
}

TEST(CachingCpuAllocator, ContextIsTheDataPointerForTheRawInterface) {
    CachingCpuAllocator allocator;
    const c10::DataPtr block = allocator.allocate(10);
    EXPECT_EQ(block.get_context(), block.get());
    EXPECT_TRUE(allocator.is_simple_data_ptr(block));
    void* raw = allocator.raw_allocate(77);
    EXPECT_GE(allocator.statistics().in_use_bytes, 87);
    allocator.raw_deallocate(raw);
    EXPECT_LT(allocator.statistics().in_use_bytes, 200);
}

TEST(CachingCpuAllocator, NothingIsNoMemory) {
    CachingCpuAllocator allocator;
    const c10::DataPtr block = allocator.allocate(0);
    EXPECT_EQ(block.get(), nullptr);
    EXPECT_EQ(allocator.statistics().system_allocations, 0);
}

TEST(CachingCpuAllocator, ARefusalOfTheSystemIsOutOfMemory) {
    CachingCpuAllocator allocator;
    allocator.allocate(1 << 20).clear();
    EXPECT_THROW(allocator.allocate(std::size_t{1} << 60U), c10::OutOfMemoryError);
    EXPECT_THROW(allocator.allocate(std::size_t{1} << 45U), c10::OutOfMemoryError);
    EXPECT_EQ(allocator.statistics().in_use_bytes, 0);
    // What waited was given back before the system was asked again.
    EXPECT_EQ(allocator.statistics().held_bytes, 0);
}

TEST(CachingCpuAllocator, ThreadsMayTakeAndGiveAtOnce) {
    CachingCpuAllocator allocator;
    std::vector<std::thread> threads;
    for (unsigned seed = 1; seed <= 4; ++seed) {
        threads.emplace_back([&allocator, seed] {
            std::vector<c10::DataPtr> blocks(16);
            for (unsigned i = 0; i < 4000; ++i) {
                const std::size_t bytes = (i * 2654435761U + seed * 40503U) % 100000 + 1;
                c10::DataPtr& slot = blocks[(i * seed) % blocks.size()];
                slot = allocator.allocate(bytes);
                std::memset(slot.get(), static_cast<int>(seed), bytes);
                ASSERT_EQ(static_cast<unsigned char*>(slot.get())[bytes - 1], seed);
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    EXPECT_EQ(allocator.statistics().in_use_bytes, 0);
}

TEST(CachingCpuAllocator, ARepeatedRunOfEveryKernelTakesNoNewMemory) {
    CachingCpuAllocator& allocator = install_caching_cpu_allocator();
    EXPECT_EQ(c10::GetCPUAllocator(), &allocator);
    EXPECT_EQ(&install_caching_cpu_allocator(), &allocator);
    const auto kernels = make_kernels(at::Device(at::kCPU));
    // libtorch's operations also allocate inside their threads: how many blocks they have at once
    // would depend on how the threads meet.
    const int threads = at::get_num_threads();
    at::set_num_threads(1);
    const auto run_all = [&] {
        for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
            for (const KernelCase& kernel_case : kernel_cases(dtype)) {
                kernel_case.run(*kernels);
            }
        }
    };
    run_all();
    // The first run also grew the kernels' own scratch, which took blocks out of the turn.
    run_all();
    const CpuMemoryStatistics before = allocator.statistics();
    EXPECT_GT(before.system_allocations, 0);
    run_all();
    EXPECT_EQ(allocator.statistics().system_allocations, before.system_allocations);
    EXPECT_EQ(allocator.statistics().held_bytes, before.held_bytes);
    at::set_num_threads(threads);
}

}  // namespace
}  // namespace holdfast::kernels
