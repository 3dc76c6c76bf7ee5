#include "dist/communicator.h"

#include <algorithm>
#include <bit>
#include <exception>
#include <utility>

#include <ATen/ops/empty.h>
#include <fmt/format.h>
#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>

#include "base/check.h"
#include "base/error.h"
#include "dist/gloo_backend.h"
#include "dist/nccl_backend.h"

namespace holdfast::dist {

using base::Error;
using base::ErrorKind;
using base::Result;

namespace {

// Between two steps rank 0 may wait long for a disk or a person; that a rank is gone is the
// watchdog's to see.
constexpr double kHostTimeoutSeconds = 7.0 * 24 * 3600;

at::Tensor words_tensor(std::span<const std::int64_t> words) {
    at::Tensor tensor =
        at::empty({static_cast<std::int64_t>(words.size())}, at::TensorOptions().dtype(at::kLong));
    std::copy(words.begin(), words.end(), tensor.mutable_data_ptr<std::int64_t>());
    return tensor;
}

at::Tensor bytes_tensor(const std::string& text, std::size_t size) {
    at::Tensor tensor =
        at::empty({static_cast<std::int64_t>(size)}, at::TensorOptions().dtype(at::kByte));
    auto* bytes = tensor.mutable_data_ptr<std::uint8_t>();
    std::copy(text.begin(), text.end(), bytes);
    std::fill(bytes + text.size(), bytes + size, std::uint8_t{0});
    return tensor;
}

}  // namespace

std::vector<int> stage_sizes(const GroupShape& shape) {
    const int nodes = shape.size / shape.local_size;
    const bool is_tree = std::has_single_bit(static_cast<unsigned>(shape.local_size));
    if (nodes == 1 || shape.local_size == 1 || !is_tree) {
        return {shape.size};
    }
    return {shape.local_size, nodes};
}

struct Communicator::Posted {
    std::vector<at::Tensor> tensors;
    c10::intrusive_ptr<c10d::Work> work;
};

Communicator::Communicator(const GroupOptions& options, c10::Device device)
    : options_(options), device_(device) {}

Communicator::~Communicator() = default;

Result<std::unique_ptr<Communicator>> Communicator::form(const RankStore& store,
                                                         const GroupOptions& options,
                                                         c10::Device device) {
    const GroupShape& shape = options.shape;
    HF_CHECK(shape.size >= 1 && shape.rank >= 0 && shape.rank < shape.size &&
                 shape.local_size >= 1 && shape.size % shape.local_size == 0,
             "rank {} of {}, {} a node",
             shape.rank,
             shape.size,
             shape.local_size);
    // NOLINTNEXTLINE(cppcoreguidelines-owning-memory): the constructor is private
    std::unique_ptr<Communicator> group(new Communicator(options, device));
    try {
        group->make_groups(store);
    } catch (const base::Failure&) {
        throw;
    } catch (const std::exception& error) {
        return Error{
            ErrorKind::kIo,
            fmt::format("rank {} of {} could not join the others within {} s: {}; look at the "
                        "last lines of the other ranks, and whether they reach {}",
                        shape.rank,
                        shape.size,
                        options.join_timeout_seconds,
                        first_line(error.what()),
                        options.local_address),
            0};
    }
    return group;
}

c10::intrusive_ptr<c10d::Backend> Communicator::make_device_group(const RankStore& store,
                                                                  const std::string& name,
                                                                  int rank,
                                                                  int size) {
    auto part = c10::make_intrusive<c10d::PrefixStore>(options_.name + name, store.handle());
    if (device_.is_cpu()) {
        auto backend = make_gloo_backend(
            part, rank, size, options_.join_timeout_seconds, options_.local_address);
        backend->setTimeout(
            std::chrono::milliseconds(static_cast<std::int64_t>(options_.timeout_seconds * 1e3)));
        return backend;
    }
    return make_nccl_backend(part, rank, size, options_.timeout_seconds);
}

void Communicator::make_groups(const RankStore& store) {
    const GroupShape& shape = options_.shape;
    host_backend_ = make_gloo_backend(
        c10::make_intrusive<c10d::PrefixStore>(options_.name + "host", store.handle()),
        shape.rank,
        shape.size,
        options_.join_timeout_seconds,
        options_.local_address);
    host_backend_->setTimeout(
        std::chrono::milliseconds(static_cast<std::int64_t>(kHostTimeoutSeconds * 1e3)));
    device_backend_ = make_device_group(store, "device", shape.rank, shape.size);
    if (stage_sizes(shape).size() == 1) {
        stages_ = {{device_backend_, shape.size, shape.rank}};
        return;
    }
    const int nodes = shape.size / shape.local_size;
    const int node = shape.rank / shape.local_size;
    stages_.push_back(
        {make_device_group(store, fmt::format("node{}", node), shape.local_rank, shape.local_size),
         shape.local_size,
         shape.local_rank});
    stages_.push_back(
        {make_device_group(store, fmt::format("across{}", shape.local_rank), node, nodes),
         nodes,
         node});
}

void Communicator::wait(c10d::Work& work) {
    try {
        work.wait();
    } catch (const std::exception& error) {
        broken_.store(true);
        throw base::Failure(
            base::ExitCode::kRestart,
            fmt::format("rank {} of {} lost another rank ({}); start again to go on from the "
                        "newest checkpoint",
                        rank(),
                        size(),
                        first_line(error.what())));
    }
}

void Communicator::broadcast_words(std::span<std::int64_t> words) {
    std::vector<at::Tensor> tensors = {words_tensor(words)};
    wait(*host_backend_->broadcast(tensors));
    const auto* received = tensors.front().const_data_ptr<std::int64_t>();
    std::copy(received, received + words.size(), words.begin());
}

void Communicator::post_words(std::span<const std::int64_t> words) {
    HF_CHECK(rank() == 0, "rank {} posts", rank());
    for (Posted& posted : posted_) {
        if (posted.work->isCompleted()) {
            wait(*posted.work);  // does not wait; throws what went wrong
        }
    }
    std::erase_if(posted_, [](const Posted& posted) { return posted.work->isCompleted(); });
    Posted posted{{words_tensor(words)}, {}};
    posted.work = host_backend_->broadcast(posted.tensors);
    posted_.push_back(std::move(posted));
}

void Communicator::wait_posted() {
    for (Posted& posted : posted_) {
        wait(*posted.work);
    }
    posted_.clear();
}

std::string Communicator::broadcast_text(const std::string& text_of_rank_0) {
    std::int64_t size = static_cast<std::int64_t>(text_of_rank_0.size());
    broadcast_words({&size, 1});
    std::vector<at::Tensor> tensors = {
        bytes_tensor(rank() == 0 ? text_of_rank_0 : "", static_cast<std::size_t>(size))};
    if (size > 0) {
        wait(*host_backend_->broadcast(tensors));
    }
    const auto* bytes = tensors.front().const_data_ptr<std::uint8_t>();
    return {bytes, bytes + size};
}

std::vector<std::vector<std::int64_t>> Communicator::gather_words(
    std::span<const std::int64_t> words) {
    std::vector<at::Tensor> inputs = {words_tensor(words)};
    std::vector<std::vector<at::Tensor>> outputs(1);
    for (int i = 0; i < size(); ++i) {
        outputs.front().push_back(at::empty_like(inputs.front()));
    }
    wait(*host_backend_->allgather(outputs, inputs));
    std::vector<std::vector<std::int64_t>> all;
    for (const at::Tensor& of_rank : outputs.front()) {
        const auto* data = of_rank.const_data_ptr<std::int64_t>();
        all.emplace_back(data, data + of_rank.numel());
    }
    return all;
}

std::vector<std::string> Communicator::gather_texts(const std::string& text) {
    const std::int64_t size_mine = static_cast<std::int64_t>(text.size());
    std::vector<std::int64_t> sizes;
    for (const auto& words : gather_words({&size_mine, 1})) {
        sizes.push_back(words.front());
    }
    const auto longest = static_cast<std::size_t>(*std::max_element(sizes.begin(), sizes.end()));
    std::vector<std::string> texts(sizes.size());
    if (longest == 0) {
        return texts;
    }
    std::vector<at::Tensor> inputs = {bytes_tensor(text, longest)};
    std::vector<std::vector<at::Tensor>> outputs(1);
    for (int i = 0; i < size(); ++i) {
        outputs.front().push_back(at::empty_like(inputs.front()));
    }
    wait(*host_backend_->allgather(outputs, inputs));
    for (std::size_t i = 0; i < texts.size(); ++i) {
        const auto* bytes = outputs.front().at(i).const_data_ptr<std::uint8_t>();
        texts.at(i).assign(bytes, bytes + sizes.at(i));
    }
    return texts;
}

}  // namespace holdfast::dist
