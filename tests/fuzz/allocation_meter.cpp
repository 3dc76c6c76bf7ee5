#include "fuzz/allocation_meter.h"

#include <atomic>
#include <cstdlib>
#include <new>

#include <malloc.h>

namespace {

std::atomic<std::size_t> held_bytes{0};
std::atomic<std::size_t> held_bytes_max{0};

void* take_or_null(std::size_t bytes) noexcept {
    void* memory = std::malloc(bytes == 0 ? 1 : bytes);
    if (memory == nullptr) {
        return nullptr;
    }
    const std::size_t held = held_bytes += ::malloc_usable_size(memory);
    std::size_t highest = held_bytes_max.load();
    while (held > highest && !held_bytes_max.compare_exchange_weak(highest, held)) {
    }
    return memory;
}

void* take(std::size_t bytes) {
    void* memory = take_or_null(bytes);
    if (memory == nullptr) {
        throw std::bad_alloc();
    }
    return memory;
}

void give(void* memory) noexcept {
    if (memory != nullptr) {
        held_bytes -= ::malloc_usable_size(memory);
        std::free(memory);
    }
}

}  // namespace

// All forms but those with an alignment: AddressSanitizer has its own of each, and memory of one
// must not end in another.
void* operator new(std::size_t bytes) {
    return take(bytes);
}
void* operator new[](std::size_t bytes) {
    return take(bytes);
}
void* operator new(std::size_t bytes, const std::nothrow_t& /*tag*/) noexcept {
    return take_or_null(bytes);
}
void* operator new[](std::size_t bytes, const std::nothrow_t& /*tag*/) noexcept {
    return take_or_null(bytes);
}
void operator delete(void* memory) noexcept {
    give(memory);
}
void operator delete[](void* memory) noexcept {
    give(memory);
}
void operator delete(void* memory, std::size_t /*bytes*/) noexcept {
    give(memory);
}
void operator delete[](void* memory, std::size_t /*bytes*/) noexcept {
    give(memory);
}
void operator delete(void* memory, const std::nothrow_t& /*tag*/) noexcept {
    give(memory);
}
void operator delete[](void* memory, const std::nothrow_t& /*tag*/) noexcept {
    give(memory);
}

namespace holdfast::fuzz {

AllocationMeter::AllocationMeter() : bytes_at_start_(held_bytes) {
    held_bytes_max = held_bytes.load();
}

std::size_t AllocationMeter::peak_bytes() const {
    const std::size_t highest = held_bytes_max;
    return highest > bytes_at_start_ ? highest - bytes_at_start_ : 0;
}

}  // namespace holdfast::fuzz
