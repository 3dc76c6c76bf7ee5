// A library for LD_PRELOAD that lets the memory of the real program run out at a chosen moment.
//
// HOLDFAST_MEMORY_FAULTS="LINE SKIP": when the program has written line LINE of metrics.jsonl, SKIP
// more allocations of the thread that wrote it are served. From then on the process has what it
// holds at that moment and no byte more: an allocation that would take it above fails, whoever
// asks; what is given back can be had again. Says so in one line on stderr: `memory-fault SKIP`.
//
// Serves malloc and its kin from the C library's own; never allocates.
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <string_view>

#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include <malloc.h>

extern "C" {
// NOLINTBEGIN(bugprone-reserved-identifier): the C library's names
void* __libc_malloc(size_t bytes);
void* __libc_calloc(size_t count, size_t bytes);
void* __libc_realloc(void* memory, size_t bytes);
void* __libc_memalign(size_t alignment, size_t bytes);
void __libc_free(void* memory);
// NOLINTEND(bugprone-reserved-identifier)
}

namespace {

constexpr std::int64_t kNoLimit = std::numeric_limits<std::int64_t>::max();

std::atomic<std::int64_t> held_bytes{0};
std::atomic<std::int64_t> limit_bytes{kNoLimit};
std::atomic<std::int64_t> lines_written{0};
std::atomic<std::int64_t> allocations_left{0};
std::atomic<pid_t> counted_thread{0};  // 0: nobody's allocations are counted

struct Moment {
    std::int64_t line = 0;
    std::int64_t skip = 0;
};

Moment chosen_moment() {
    const char* text = std::getenv("HOLDFAST_MEMORY_FAULTS");
    if (text == nullptr) {
        return {};
    }
    char* rest = nullptr;
    const std::int64_t line = std::strtoll(text, &rest, 10);
    return {line, std::strtoll(rest, nullptr, 10)};
}

void run_out() {
    limit_bytes = held_bytes.load();
    ::dprintf(STDERR_FILENO, "memory-fault %lld\n", static_cast<long long>(chosen_moment().skip));
}

bool may_have(std::int64_t bytes) {
    const pid_t counted = counted_thread.load(std::memory_order_relaxed);
    if (counted != 0 && ::gettid() == counted && --allocations_left < 0) {
        counted_thread = 0;
        run_out();
    }
    if (held_bytes.load() <= limit_bytes.load() - bytes) {
        return true;
    }
    errno = ENOMEM;
    return false;
}

void* note(void* memory) {
    held_bytes += static_cast<std::int64_t>(::malloc_usable_size(memory));
    return memory;
}

void note_freed(void* memory) {
    held_bytes -= static_cast<std::int64_t>(::malloc_usable_size(memory));
}

void note_line(int descriptor) {
    static const Moment moment = chosen_moment();
    if (moment.line == 0) {
        return;
    }
    std::array<char, 64> link{};
    std::array<char, 4096> path{};
    std::snprintf(link.data(), link.size(), "/proc/self/fd/%d", descriptor);
    const ssize_t length = ::readlink(link.data(), path.data(), path.size());
    const std::string_view name(path.data(), length < 0 ? 0 : static_cast<std::size_t>(length));
    if (name.ends_with("/metrics.jsonl") && ++lines_written == moment.line) {
        allocations_left = moment.skip;
        counted_thread = ::gettid();
    }
}

}  // namespace

extern "C" {

void* malloc(size_t bytes) {
    return may_have(static_cast<std::int64_t>(bytes)) ? note(__libc_malloc(bytes)) : nullptr;
}
void free(void* memory) {
    note_freed(memory);
    __libc_free(memory);
}
void* calloc(size_t count, size_t bytes) {
    return may_have(static_cast<std::int64_t>(count * bytes)) ? note(__libc_calloc(count, bytes))
                                                              : nullptr;
}
void* realloc(void* memory, size_t bytes) {
    if (!may_have(static_cast<std::int64_t>(bytes) -
                  static_cast<std::int64_t>(::malloc_usable_size(memory)))) {
        return nullptr;
    }
    note_freed(memory);
    return note(__libc_realloc(memory, bytes));
}
void* memalign(size_t alignment, size_t bytes) {
    return may_have(static_cast<std::int64_t>(bytes)) ? note(__libc_memalign(alignment, bytes))
                                                      : nullptr;
}
void* aligned_alloc(size_t alignment, size_t bytes) {
    return ::memalign(alignment, bytes);
}
int posix_memalign(void** memory, size_t alignment, size_t bytes) {
    void* made = ::memalign(alignment, bytes);
    if (made == nullptr) {
        return ENOMEM;
    }
    *memory = made;
    return 0;
}

ssize_t pwrite(int fd, const void* bytes, size_t count, off_t offset) {
    const auto written = static_cast<ssize_t>(::syscall(SYS_pwrite64, fd, bytes, count, offset));
    note_line(fd);
    return written;
}

}  // extern "C"
