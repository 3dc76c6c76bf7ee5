#include "kernels/caching_cpu_allocator.h"

#include <bit>
#include <cstdlib>
#include <new>
#include <utility>

#include <sys/mman.h>

#include <c10/core/CPUAllocator.h>
#include <c10/util/Exception.h>

#include "base/check.h"

namespace holdfast::kernels {
namespace {

constexpr std::size_t kAlignment = 64;
constexpr std::size_t kHugePageBytes = std::size_t{2} << 20U;
// Up to here classes are multiples of 64 bytes; from here on each power of two has 32.
constexpr std::size_t kSmallPower = 11;
constexpr std::size_t kSmallBytes = std::size_t{1} << kSmallPower;
constexpr std::size_t kSteps = 32;
constexpr std::size_t kBytesMax = std::size_t{1} << 46U;
constexpr std::uint64_t kMark = 0x686F6C6466617374;

// The smallest class that holds `bytes` (header included).
std::size_t class_of(std::size_t bytes) {
    if (bytes <= kSmallBytes) {
        return (bytes + kAlignment - 1) / kAlignment - 1;
    }
    // 2^power < bytes <= 2^(power + 1), cut into kSteps.
    const auto power = static_cast<std::size_t>(std::bit_width(bytes - 1)) - 1;
    const std::size_t step_bytes = (std::size_t{1} << power) / kSteps;
    const std::size_t step = (bytes - (std::size_t{1} << power) + step_bytes - 1) / step_bytes;
    return kSmallBytes / kAlignment + (power - kSmallPower) * kSteps + step - 1;
}

std::size_t bytes_of(std::size_t size_class) {
    constexpr std::size_t kSmallClasses = kSmallBytes / kAlignment;
    if (size_class < kSmallClasses) {
        return (size_class + 1) * kAlignment;
    }
    const std::size_t power = (size_class - kSmallClasses) / kSteps + kSmallPower;
    const std::size_t step = (size_class - kSmallClasses) % kSteps + 1;
    return (std::size_t{1} << power) + step * ((std::size_t{1} << power) / kSteps);
}

}  // namespace

// Stands before the data.
struct alignas(kAlignment) CachingCpuAllocator::Block {
    std::uint64_t mark = kMark;
    std::size_t size_class = 0;
    CachingCpuAllocator* owner = nullptr;
    Block* next = nullptr;  // while it waits
};

CachingCpuAllocator::~CachingCpuAllocator() {
    release_waiting();
}

c10::DataPtr CachingCpuAllocator::allocate(std::size_t bytes) {
    const c10::Device cpu(c10::DeviceType::CPU);
    if (bytes == 0) {
        return {nullptr, nullptr, &release, cpu};
    }
    TORCH_CHECK_WITH(OutOfMemoryError, bytes < kBytesMax, "cannot allocate ", bytes, " bytes");
    Block* block = take(class_of(bytes + sizeof(Block)));
    void* data = block + 1;
    return {data, data, &release, cpu};
}

c10::DeleterFnPtr CachingCpuAllocator::raw_deleter() const {
    return &release;
}

void CachingCpuAllocator::copy_data(void* to, const void* from, std::size_t bytes) const {
    default_copy_data(to, from, bytes);
}

void CachingCpuAllocator::release(void* data) {
    if (data == nullptr) {
        return;
    }
    Block* block = static_cast<Block*>(data) - 1;
    HF_CHECK(block->mark == kMark, "a block that was not ours, or was written over");
    block->owner->put_back(block);
}

CachingCpuAllocator::Block* CachingCpuAllocator::take(std::size_t size_class) {
    const std::lock_guard lock(mutex_);
    Block* block = waiting_[size_class];
    if (block != nullptr) {
        waiting_[size_class] = std::exchange(block->next, nullptr);
    } else {
        block = from_system(size_class);
    }
    statistics_.in_use_bytes += static_cast<std::int64_t>(bytes_of(size_class));
    return block;
}

CachingCpuAllocator::Block* CachingCpuAllocator::from_system(std::size_t size_class) {
    const std::size_t bytes = bytes_of(size_class);
    const std::size_t alignment = bytes >= kHugePageBytes ? kHugePageBytes : kAlignment;
    void* memory = nullptr;
    if (::posix_memalign(&memory, alignment, bytes) != 0) {
        free_waiting();
        TORCH_CHECK_WITH(OutOfMemoryError,
                         ::posix_memalign(&memory, alignment, bytes) == 0,
                         "the system has no ",
                         bytes,
                         " bytes of memory left; ",
                         statistics_.in_use_bytes,
                         " are in use by tensors");
    }
    if (alignment == kHugePageBytes) {
        // A wish: without huge pages the memory works all the same.
        static_cast<void>(::madvise(memory, bytes, MADV_HUGEPAGE));
    }
    auto* block = new (memory) Block;
    block->size_class = size_class;
    block->owner = this;
    statistics_.held_bytes += static_cast<std::int64_t>(bytes);
    ++statistics_.system_allocations;
    return block;
}

void CachingCpuAllocator::put_back(Block* block) {
    const std::lock_guard lock(mutex_);
    block->next = std::exchange(waiting_[block->size_class], block);
    statistics_.in_use_bytes -= static_cast<std::int64_t>(bytes_of(block->size_class));
}

void CachingCpuAllocator::free_waiting() {
    for (Block*& first : waiting_) {
        while (first != nullptr) {
            Block* block = std::exchange(first, first->next);
            statistics_.held_bytes -= static_cast<std::int64_t>(bytes_of(block->size_class));
            std::free(block);
        }
    }
}

CpuMemoryStatistics CachingCpuAllocator::statistics() const {
    const std::lock_guard lock(mutex_);
    return statistics_;
}

void CachingCpuAllocator::release_waiting() {
    const std::lock_guard lock(mutex_);
    free_waiting();
}

CachingCpuAllocator& install_caching_cpu_allocator() {
    // Never destroyed: tensors of static storage may outlive every other object.
    static CachingCpuAllocator* const allocator = [] {
        auto* made = new CachingCpuAllocator;
        c10::SetCPUAllocator(made);
        return made;
    }();
    return *allocator;
}

}  // namespace holdfast::kernels
