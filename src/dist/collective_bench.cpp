#include "dist/collective_bench.h"

#include <algorithm>

#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <c10/core/Event.h>
#include <c10/core/InferenceMode.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <torch/csrc/distributed/c10d/Backend.hpp>

#include "base/check.h"
#include "base/clock.h"
#include "dist/socket_bytes.h"

namespace holdfast::dist {

namespace {

// Elements of which the norm has one fp64 sum.
constexpr std::int64_t kNormBlockElements = 1024;
constexpr double kNewWeight = 3.0;

bool all_are(const at::Tensor& values, double expected) {
    return values.eq(expected).all().item<bool>();
}

}  // namespace

CollectiveBench::CollectiveBench(Communicator& group,
                                 Communicator* staged,
                                 const std::vector<ArenaRange>& buckets,
                                 at::ScalarType weight_type,
                                 at::Device device)
    : group_(group),
      bucket_count_(static_cast<std::int64_t>(buckets.size())),
      device_(device),
      exchange_(group, buckets, device) {
    HF_CHECK(group.stages().size() == 1, "the first group has {} stages", group.stages().size());
    const c10::InferenceMode inference;
    if (staged != nullptr) {
        HF_CHECK(staged->stages().size() == 2, "{} stages", staged->stages().size());
        staged_exchange_.emplace(*staged, buckets, device);
    }
    const std::int64_t elements = buckets.back().end;
    const auto fp32 = at::TensorOptions(device).dtype(at::kFloat);
    gradient_ = at::zeros({elements}, fp32);
    scratch_ = at::full({elements}, 0.0, fp32);
    weights_ = at::zeros({elements}, fp32.dtype(weight_type));
    piece_ = at::full({elements / group.size()}, kNewWeight, fp32.dtype(weight_type));
    block_sums_ = at::full({elements / kNormBlockElements}, 0.0, fp32.dtype(at::kDouble));
    loss_ = at::zeros({}, fp32.dtype(at::kDouble));
}

std::int64_t CollectiveBench::sent_bytes_by_formula(std::int64_t elements,
                                                    std::int64_t ranks,
                                                    std::int64_t weight_bytes) {
    return (4 + weight_bytes) * (elements / ranks) * (ranks - 1);
}

std::int64_t CollectiveBench::bytes_needed(std::int64_t elements,
                                           std::int64_t largest_bucket_elements,
                                           std::int64_t weight_bytes) {
    // Gradients, scratch, weights; pieces of them for raw() and two exchanges, of half at most; two
    // exchanges' staging, the second with another half.
    const std::int64_t staged_buckets = 2 + 3;
    return (8 + weight_bytes) * elements + 3 * weight_bytes * elements / 2 +
           staged_buckets * 4 * largest_bucket_elements;
}

// A GPU has only been told what to do when the calls come back.
void CollectiveBench::finish_device() const {
    if (!device_.is_cpu()) {
        const c10::impl::VirtualGuardImpl guard(device_.type());
        c10::Event done(device_.type());
        done.record(guard.getStream(device_));
        done.synchronize();
    }
}

double CollectiveBench::timed(const std::function<void()>& work) {
    finish_device();
    const std::int64_t ready = 1;
    static_cast<void>(group_.gather_words({&ready, 1}));
    const double begin_seconds = base::monotonic_seconds();
    work();
    finish_device();
    const auto nanoseconds =
        static_cast<std::int64_t>((base::monotonic_seconds() - begin_seconds) * 1e9);
    std::int64_t slowest = 0;
    for (const std::vector<std::int64_t>& of_rank : group_.gather_words({&nanoseconds, 1})) {
        slowest = std::max(slowest, of_rank.front());
    }
    return static_cast<double>(slowest) * 1e-9;
}

void CollectiveBench::fill(const std::vector<ArenaRange>& owned) {
    gradient_.fill_(1.0);
    weights_.fill_(0.0);
    for (const ArenaRange& range : owned) {
        weights_.narrow(0, range.begin, range.size()).fill_(kNewWeight);
    }
}

void CollectiveBench::check_arrived(const std::vector<ArenaRange>& owned) const {
    for (const ArenaRange& range : owned) {
        HF_CHECK(all_are(gradient_.narrow(0, range.begin, range.size()), group_.size()),
                 "the gradients of [{}, {}) are not the sum over {} ranks",
                 range.begin,
                 range.end,
                 group_.size());
    }
    HF_CHECK(all_are(weights_, kNewWeight), "not all weights came back");
}

double CollectiveBench::timed_exchange(GradientExchange& exchange) {
    const c10::InferenceMode inference;
    fill(exchange.owned());
    const std::int64_t sent_before = exchange.sent_bytes();
    const std::optional<std::int64_t> sockets_before =
        device_.is_cpu() ? dist::sent_socket_bytes() : std::nullopt;
    const double seconds = timed([&] {
        for (std::int64_t bucket = 0; bucket < bucket_count_; ++bucket) {
            exchange.begin_bucket(gradient_, bucket);
        }
        exchange.sum_loss(loss_, 0.0);
        exchange.finish_buckets(gradient_);
        exchange.sum_disjoint(block_sums_);
        exchange.begin_return(weights_);
        exchange.wait_all_returned();
    });
    sent_bytes_ = exchange.sent_bytes() - sent_before;
    if (sockets_before) {
        const std::optional<std::int64_t> sockets_after = dist::sent_socket_bytes();
        HF_CHECK(sockets_after.has_value(), "the kernel has stopped counting");
        sent_socket_bytes_ = *sockets_after - *sockets_before;
    }
    check_arrived(exchange.owned());
    return seconds;
}

double CollectiveBench::exchange() {
    return timed_exchange(exchange_);
}

double CollectiveBench::staged_exchange() {
    HF_CHECK(staged_exchange_.has_value(), "there is one stage");
    return timed_exchange(*staged_exchange_);
}

double CollectiveBench::raw() {
    const c10::InferenceMode inference;
    gradient_.fill_(1.0);
    weights_.fill_(0.0);
    const double seconds = timed([&] {
        c10d::Backend& backend = group_.device_backend();
        std::vector<std::int64_t> equal_parts;
        group_.wait(*backend.alltoall_base(scratch_, gradient_, equal_parts, equal_parts));
        group_.wait(*backend._allgather_base(weights_, piece_));
    });
    HF_CHECK(all_are(scratch_, 1.0) && all_are(weights_, kNewWeight), "not all bytes arrived");
    return seconds;
}

double CollectiveBench::all_reduce() {
    const c10::InferenceMode inference;
    gradient_.fill_(1.0);
    const double seconds = timed([&] {
        std::vector<at::Tensor> tensors = {gradient_};
        group_.wait(*group_.device_backend().allreduce(tensors));
    });
    HF_CHECK(all_are(gradient_, group_.size()), "the sum over {} ranks is another", group_.size());
    return seconds;
}

}  // namespace holdfast::dist
