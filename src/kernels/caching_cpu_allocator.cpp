#include "kernels/caching_cpu_allocator.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>
#include <vector>

#include <sys/mman.h>

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <c10/util/Exception.h>
#include <malloc.h>

#include "base/check.h"

namespace holdfast::kernels {
namespace {

constexpr std::size_t kHeaderBytes = 64;
constexpr std::size_t kHugePageBytes = std::size_t{2} << 20U;
constexpr std::uint64_t kHeaderMark = 0x686F6C6466617374;

struct BlockHeader {
    std::uint64_t mark = 0;
    std::uint64_t size_class = 0;
};
static_assert(sizeof(BlockHeader) <= kHeaderBytes);

// Class 4 k + s holds (4 + s) * 2^(k + 4) bytes: 64, 80, 96, 112, 128, 160, ...
std::size_t class_bytes(std::size_t size_class) {
    return (4 + size_class % 4) << (size_class / 4 + 4);
}

std::size_t class_of(std::size_t bytes) {
    if (bytes <= 64) {
        return 0;
    }
    const auto exponent = static_cast<std::size_t>(std::bit_width(bytes - 1)) - 3;
    const std::size_t quarters = ((bytes - 1) >> exponent) + 1;  // 5 to 8
    return 4 * (exponent - 4) + (quarters - 4);
}

class CachingCpuAllocator final : public c10::Allocator {
public:
    c10::DataPtr allocate(std::size_t bytes) override {
        void* data = bytes == 0 ? nullptr : take(bytes);
        return {data, data, &free_block, c10::Device(c10::DeviceType::CPU)};
    }
    [[nodiscard]] c10::DeleterFnPtr raw_deleter() const override { return &free_block; }
    void copy_data(void* destination, const void* source, std::size_t count) const final {
        default_copy_data(destination, source, count);
    }

    AllocatorStatistics statistics() {
        const std::lock_guard lock(mutex_);
        return statistics_;
    }
    void reset_peak() {
        const std::lock_guard lock(mutex_);
        statistics_.peak_in_use_bytes = statistics_.in_use_bytes;
    }
    void release_free() {
        const std::lock_guard lock(mutex_);
        for (std::size_t size_class = 0; size_class < free_.size(); ++size_class) {
            for (std::byte* block : free_[size_class]) {
                statistics_.held_bytes -= block_bytes(size_class);
                std::free(block);  // NOLINT(cppcoreguidelines-no-malloc)
            }
            free_[size_class].clear();
        }
    }

    static CachingCpuAllocator& instance() {
        // Never destroyed: tensors in static storage may be freed after any destructor of ours.
        static auto* const allocator = new CachingCpuAllocator;
        return *allocator;
    }

private:
    static std::int64_t block_bytes(std::size_t size_class) {
        return static_cast<std::int64_t>(class_bytes(size_class) + kHeaderBytes);
    }

    void* take(std::size_t bytes) {
        const std::size_t size_class = class_of(bytes);
        {
            const std::lock_guard lock(mutex_);
            auto& list = free_[size_class];
            if (!list.empty()) {
                std::byte* block = list.back();
                list.pop_back();
                count_use(size_class);
                return block + kHeaderBytes;
            }
        }
        std::byte* block = from_system(size_class);
        const std::lock_guard lock(mutex_);
        statistics_.held_bytes += block_bytes(size_class);
        ++statistics_.system_block_count;
        // A free must never need memory.
        free_[size_class].reserve(++made_[size_class]);
        count_use(size_class);
        return block + kHeaderBytes;
    }

    void count_use(std::size_t size_class) {
        statistics_.in_use_bytes += block_bytes(size_class);
        statistics_.peak_in_use_bytes =
            std::max(statistics_.peak_in_use_bytes, statistics_.in_use_bytes);
    }

    static std::byte* from_system(std::size_t size_class) {
        const std::size_t bytes = class_bytes(size_class) + kHeaderBytes;
        const bool large = bytes >= kHugePageBytes;
        void* memory = nullptr;
        const int failure = posix_memalign(&memory, large ? kHugePageBytes : kHeaderBytes, bytes);
        TORCH_CHECK_WITH(
            OutOfMemoryError, failure == 0, "out of memory: ", bytes, " bytes of main memory");
        if (large) {
            // Advice only: without huge pages the block is as good, and slower to touch first.
            static_cast<void>(madvise(memory, bytes, MADV_HUGEPAGE));
        }
        auto* header = new (memory) BlockHeader;
        header->mark = kHeaderMark;
        header->size_class = size_class;
        return static_cast<std::byte*>(memory);
    }

    static void free_block(void* data) {
        if (data == nullptr) {
            return;
        }
        std::byte* block = static_cast<std::byte*>(data) - kHeaderBytes;
        BlockHeader header;
        std::memcpy(&header, block, sizeof(header));
        HF_CHECK(header.mark == kHeaderMark, "a block was freed that this allocator did not make");
        auto& self = instance();
        const std::lock_guard lock(self.mutex_);
        self.statistics_.in_use_bytes -= block_bytes(header.size_class);
        self.free_[header.size_class].push_back(block);
    }

    std::mutex mutex_;
    AllocatorStatistics statistics_;
    std::array<std::vector<std::byte*>, 240> free_;
    std::array<std::size_t, 240> made_{};
};

}  // namespace

void install_caching_cpu_allocator() {
    static std::once_flag once;
    std::call_once(once, [] {
        c10::SetCPUAllocator(&CachingCpuAllocator::instance(), /*priority=*/1);
        // What the matrix libraries take from malloc for themselves is kept by the same rule.
        mallopt(M_MMAP_THRESHOLD, 32 << 20);
        mallopt(M_TRIM_THRESHOLD, 2'000'000'000);
    });
}

AllocatorStatistics allocator_statistics() {
    return CachingCpuAllocator::instance().statistics();
}
void reset_allocator_peak() {
    CachingCpuAllocator::instance().reset_peak();
}
void release_free_blocks() {
    CachingCpuAllocator::instance().release_free();
}

}  // namespace holdfast::kernels
