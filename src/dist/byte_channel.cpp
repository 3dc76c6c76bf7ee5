#include "dist/byte_channel.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <exception>
#include <optional>
#include <utility>
#include <vector>

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <fmt/format.h>
#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>

#include "base/check.h"
#include "base/log.h"
#include "dist/gloo_backend.h"

namespace holdfast::dist {

using base::Error;
using base::ErrorKind;
using base::Result;

namespace {

constexpr double kForEverSeconds = 7.0 * 24 * 3600;

// What a message is for, so that a question of one thread never meets the answer of another.
constexpr int kQuestionHead = 0;
constexpr int kQuestionBody = 1;
constexpr int kAnswerHead = 2;
constexpr int kAnswerBody = 3;

// Heads travel in one length: that of the text and that of the body before the text.
constexpr std::size_t kLengthsBytes = 2 * sizeof(std::uint64_t);

at::Tensor head_tensor() {
    return at::empty({static_cast<std::int64_t>(kLengthsBytes + ByteChannel::kHeadBytesMax)},
                     at::TensorOptions().dtype(at::kByte));
}

at::Tensor pack(const ChannelAnswer& message) {
    at::Tensor tensor = head_tensor();
    auto* bytes = tensor.mutable_data_ptr<std::uint8_t>();
    std::memset(bytes, 0, static_cast<std::size_t>(tensor.numel()));
    const std::uint64_t lengths[] = {message.head.size(), message.body_bytes};
    std::memcpy(bytes, lengths, kLengthsBytes);
    std::copy(message.head.begin(), message.head.end(), bytes + kLengthsBytes);
    return tensor;
}

// Nothing when the lengths are impossible.
std::optional<ChannelAnswer> unpack(const at::Tensor& tensor) {
    const auto* bytes = tensor.const_data_ptr<std::uint8_t>();
    std::uint64_t lengths[2] = {};
    std::memcpy(lengths, bytes, kLengthsBytes);
    if (lengths[0] > ByteChannel::kHeadBytesMax || lengths[1] > ByteChannel::kBodyBytesMax) {
        return std::nullopt;
    }
    return ChannelAnswer{{reinterpret_cast<const char*>(bytes) + kLengthsBytes, lengths[0]},
                         lengths[1]};
}

// The caller's memory as a tensor; not copied.
at::Tensor view(const std::byte* bytes, std::size_t count) {
    // gloo takes what it sends as mutable, and leaves it as it is.
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-const-cast)
    return at::from_blob(const_cast<std::byte*>(bytes),
                         {static_cast<std::int64_t>(count)},
                         at::TensorOptions().dtype(at::kByte));
}

void send(c10d::Backend& backend, at::Tensor tensor, int rank, int tag) {
    std::vector<at::Tensor> tensors = {std::move(tensor)};
    backend.send(tensors, rank, tag)->wait();
}

void receive(c10d::Backend& backend, at::Tensor tensor, int rank, int tag) {
    std::vector<at::Tensor> tensors = {std::move(tensor)};
    backend.recv(tensors, rank, tag)->wait();
}

Error gone(const std::exception& failure) {
    return {
        ErrorKind::kIo, fmt::format("rank 0 does not answer: {}", first_line(failure.what())), 0};
}

}  // namespace

ByteChannel::ByteChannel(c10::intrusive_ptr<c10d::Backend> backend)
    : backend_(std::move(backend)) {}

ByteChannel::~ByteChannel() {
    {
        const std::lock_guard lock(mutex_);
        ending_ = true;
        if (waiting_) {
            waiting_->abort();
        }
    }
    if (thread_.joinable()) {
        thread_.join();
    }
}

Result<std::unique_ptr<ByteChannel>> ByteChannel::form(const RankStore& store,
                                                       const GroupOptions& options) {
    try {
        auto backend =
            make_gloo_backend(c10::make_intrusive<c10d::PrefixStore>("bytes", store.handle()),
                              options.shape.rank,
                              options.shape.size,
                              options.join_timeout_seconds,
                              options.local_address);
        backend->setTimeout(
            std::chrono::milliseconds(static_cast<std::int64_t>(kForEverSeconds * 1e3)));
        // NOLINTNEXTLINE(cppcoreguidelines-owning-memory): the constructor is private
        return std::unique_ptr<ByteChannel>(new ByteChannel(std::move(backend)));
    } catch (const std::exception& failure) {
        return Error{ErrorKind::kIo,
                     fmt::format("rank {} could not join the channel to rank 0: {}",
                                 options.shape.rank,
                                 first_line(failure.what())),
                     0};
    }
}

void ByteChannel::serve(std::span<std::byte> buffer, Handler handler) {
    HF_CHECK(backend_->getRank() == 0 && !thread_.joinable(), "serve() once, by rank 0");
    HF_CHECK(buffer.size() >= kBodyBytesMax, "a buffer of {} bytes", buffer.size());
    thread_ = std::thread([this, buffer, handler = std::move(handler)] { run(buffer, handler); });
}

void ByteChannel::run(std::span<std::byte> buffer, const Handler& handler) {
    try {
        while (answer_one(buffer, handler)) {
        }
    } catch (const std::exception& failure) {
        // A rank is gone: the step loop meets that too, and the run ends. Who waits for an answer
        // learns of it as that rank's connections close.
        base::log_warning("the files of this node are served no more: {}",
                          first_line(failure.what()));
    }
}

// False when it is to end.
bool ByteChannel::answer_one(std::span<std::byte> buffer, const Handler& handler) {
    std::vector<at::Tensor> heads = {head_tensor()};
    c10::intrusive_ptr<c10d::Work> question;
    {
        const std::lock_guard lock(mutex_);
        if (ending_) {
            return false;
        }
        question = backend_->recvAnysource(heads, kQuestionHead);
        waiting_ = question;
    }
    const bool has_come = question->wait();
    const int rank = has_come ? question->sourceRank() : -1;
    {
        const std::lock_guard lock(mutex_);
        waiting_.reset();
        if (ending_ || !has_come) {
            return false;
        }
    }
    const std::optional<ChannelAnswer> asked = unpack(heads.front());
    if (!asked) {
        throw base::Failure(base::ExitCode::kRestart,
                            fmt::format("rank {} sent what is no question", rank));
    }
    if (asked->body_bytes > 0) {
        receive(*backend_, view(buffer.data(), asked->body_bytes), rank, kQuestionBody);
    }
    const ChannelAnswer answer = handler(rank, asked->head, buffer, asked->body_bytes);
    HF_CHECK(answer.head.size() <= kHeadBytesMax && answer.body_bytes <= kBodyBytesMax,
             "an answer of {} and {} bytes",
             answer.head.size(),
             answer.body_bytes);
    send(*backend_, pack(answer), rank, kAnswerHead);
    if (answer.body_bytes > 0) {
        send(*backend_, view(buffer.data(), answer.body_bytes), rank, kAnswerBody);
    }
    return true;
}

Result<ChannelAnswer> ByteChannel::ask(const std::string& head,
                                       std::span<const std::byte> body,
                                       std::span<std::byte> answer_body) {
    if (head.size() > kHeadBytesMax || body.size() > kBodyBytesMax) {
        return Error{ErrorKind::kInvalid,
                     fmt::format("a message of {} and {} bytes to rank 0, at most {} and {} can be",
                                 head.size(),
                                 body.size(),
                                 kHeadBytesMax,
                                 kBodyBytesMax),
                     0};
    }
    const std::lock_guard lock(asking_);
    try {
        send(*backend_, pack({head, body.size()}), 0, kQuestionHead);
        if (!body.empty()) {
            send(*backend_, view(body.data(), body.size()), 0, kQuestionBody);
        }
        const at::Tensor answer_head = head_tensor();
        receive(*backend_, answer_head, 0, kAnswerHead);
        const std::optional<ChannelAnswer> answer = unpack(answer_head);
        if (!answer || answer->body_bytes > answer_body.size()) {
            return Error{ErrorKind::kIo,
                         "rank 0 answered what this program does not: are all ranks the same "
                         "program?",
                         0};
        }
        if (answer->body_bytes > 0) {
            receive(*backend_, view(answer_body.data(), answer->body_bytes), 0, kAnswerBody);
        }
        return *answer;
    } catch (const std::exception& failure) {
        return gone(failure);
    }
}

}  // namespace holdfast::dist
