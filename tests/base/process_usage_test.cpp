#include "base/process_usage.h"

#include <cstring>

#include <sys/mman.h>

#include <gtest/gtest.h>

namespace holdfast::base {
namespace {

TEST(ProcessUsage, CountsMemoryWhenItIsTouchedAndNotWhenItIsTouchedAgain) {
    constexpr std::size_t kBytes = std::size_t{64} << 20U;
    void* memory =
        ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(memory, MAP_FAILED);
    ASSERT_EQ(::madvise(memory, kBytes, MADV_NOHUGEPAGE), 0);
    std::memset(memory, 1, kBytes);
    const ProcessUsage touched = process_usage();
    std::memset(memory, 2, kBytes);
    const ProcessUsage again = process_usage();
    EXPECT_GE(touched.peak_resident_bytes, kBytes);
    EXPECT_GE(touched.page_faults, static_cast<std::int64_t>(kBytes / 4096));
    EXPECT_LT(again.page_faults - touched.page_faults, 64);
    EXPECT_EQ(::munmap(memory, kBytes), 0);
    EXPECT_GE(process_usage().peak_resident_bytes, kBytes) << "it is a peak";
}

}  // namespace
}  // namespace holdfast::base
