// Questions of the other ranks to rank 0, and its answers: bytes of bounded length, over a gloo
// group of their own, beside the step loop. Made when ranks need rank 0's node for something that
// is not a collective: its disk, where they have none of their own.
//
// A message is a head (a short text) and a body (bytes). Rank 0 answers one question after the
// other, on a thread of its own, through one buffer; the others may ask from several threads, one
// at a time. Nothing has a time limit here: a rank that is gone closes its connections, and one
// that hangs is the watch's to find (rank_watch.h). Errors: kIo when the other side is gone,
// kInvalid when a message is longer than it may be.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <thread>

#include <c10/util/intrusive_ptr.h>

#include "base/result.h"
#include "dist/communicator.h"
#include "dist/rank_store.h"

namespace c10d {
class Backend;
class Work;
}  // namespace c10d

namespace holdfast::dist {

struct ChannelAnswer {
    std::string head;
    std::size_t body_bytes = 0;
};

class ByteChannel {
public:
    static constexpr std::size_t kHeadBytesMax = 8192;
    static constexpr std::size_t kBodyBytesMax = std::size_t{16} << 20U;

    // What rank 0 does with a question of `rank`: its body lies in the first `body_bytes` of
    // `buffer`, which then takes the body of the answer.
    using Handler = std::function<ChannelAnswer(
        int rank, std::string_view head, std::span<std::byte> buffer, std::size_t body_bytes)>;

    // Collective: all ranks of `options`. Blocks until they have come.
    static base::Result<std::unique_ptr<ByteChannel>> form(const RankStore& store,
                                                           const GroupOptions& options);
    // Ends the thread of serve().
    ~ByteChannel();
    ByteChannel(const ByteChannel&) = delete;
    ByteChannel& operator=(const ByteChannel&) = delete;
    ByteChannel(ByteChannel&&) = delete;
    ByteChannel& operator=(ByteChannel&&) = delete;

    // Rank 0, once: answers until this object goes. `buffer` is borrowed, at least kBodyBytesMax.
    void serve(std::span<std::byte> buffer, Handler handler);

    // Every other rank: blocks until rank 0 has answered. The body of the answer is written to the
    // beginning of `answer_body`, which it must fit in.
    base::Result<ChannelAnswer> ask(const std::string& head,
                                    std::span<const std::byte> body,
                                    std::span<std::byte> answer_body);

private:
    explicit ByteChannel(c10::intrusive_ptr<c10d::Backend> backend);
    void run(std::span<std::byte> buffer, const Handler& handler);
    bool answer_one(std::span<std::byte> buffer, const Handler& handler);

    c10::intrusive_ptr<c10d::Backend> backend_;
    std::mutex asking_;  // one question at a time

    std::mutex mutex_;  // guards the two below
    bool ending_ = false;
    c10::intrusive_ptr<c10d::Work> waiting_;  // for the next question

    std::thread thread_;
};

}  // namespace holdfast::dist
