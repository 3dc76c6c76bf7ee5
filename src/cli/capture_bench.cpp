#include "cli/capture_bench.h"

#include <cstring>

#include <ATen/Parallel.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/ones.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/process_usage.h"

namespace holdfast::cli {

namespace {

// No two arenas and few elements alike, so that bytes in a wrong place are seen.
at::Tensor numbered_arena(std::int64_t first, std::int64_t element_count) {
    return at::arange(first, first + element_count, at::TensorOptions().dtype(at::kFloat));
}

state::LiveTensors numbered_state(std::int64_t element_count) {
    return {numbered_arena(0, element_count),
            numbered_arena(-element_count, element_count),
            numbered_arena(-element_count / 2, element_count),
            at::ones({}, at::TensorOptions().dtype(at::kLong))};
}

template <typename Work>
double seconds_of(Work work) {
    const double begin_seconds = base::monotonic_seconds();
    work();
    return base::monotonic_seconds() - begin_seconds;
}

}  // namespace

CaptureBench::CaptureBench(const model::ArenaLayout& layout)
    : layout_(layout),
      live_(numbered_state(layout.element_count())),
      peak_bytes_before_snapshot_(base::process_usage().peak_resident_bytes),
      snapshot_(layout, {{0, layout.element_count()}}, at::kCPU) {}

std::array<CaptureBench::ArenaCopy, 3> CaptureBench::arena_copies() {
    const std::size_t tensor_count = layout_.tensors().size();
    HF_CHECK(layout_.tensors().front().begin == 0, "a view begins where its arena does");
    auto optimizer = snapshot_.optimizer_tensors();
    std::array<ArenaCopy, 3> copies;
    copies[0].to = snapshot_.model_tensors().front().bytes.data();
    copies[1].to = optimizer.front().bytes.data();
    copies[2].to = optimizer.at(tensor_count).bytes.data();
    const std::array live{&live_.master, &live_.first_moment, &live_.second_moment};
    for (std::size_t i = 0; i < copies.size(); ++i) {
        copies.at(i).from = static_cast<const std::byte*>(live.at(i)->const_data_ptr());
        copies.at(i).bytes = static_cast<std::size_t>(layout_.element_count()) * 4;
    }
    return copies;
}

double CaptureBench::copy_by_one_thread() {
    const auto copies = arena_copies();
    return seconds_of([&] {
        for (const ArenaCopy& copy : copies) {
            std::memcpy(copy.to, copy.from, copy.bytes);
        }
    });
}

double CaptureBench::copy_by_all_threads() {
    const auto copies = arena_copies();
    return seconds_of([&] {
        for (const ArenaCopy& copy : copies) {
            at::parallel_for(0,
                             static_cast<std::int64_t>(copy.bytes),
                             std::int64_t{1} << 20,
                             [&](std::int64_t begin, std::int64_t end) {
                                 std::memcpy(copy.to + begin,
                                             copy.from + begin,
                                             static_cast<std::size_t>(end - begin));
                             });
        }
    });
}

double CaptureBench::capture() {
    return seconds_of([&] { snapshot_.capture(live_); });
}

}  // namespace holdfast::cli
