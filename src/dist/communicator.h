// The communicator: the ranks of a run as one object: who this one is, and the calls that all make
// together.
//
// Two groups of libtorch's c10d stand behind it: one on the host (gloo), for words, texts and
// orders, and one for the device's tensors (gloo on a CPU, NCCL on GPUs), whole and cut into the
// stages of the exchange. All ranks make the same calls in the same order. What the calls move is
// small, but for the device's tensors, which dist/gradient_exchange sends.
//
// Owns the groups. One thread at a time. The host calls block until all ranks have come. A rank
// that is gone or does not answer within the timeout throws base::Failure with exit code 75: this
// process cannot go on, and starting the run again can.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <c10/core/Device.h>
#include <c10/util/intrusive_ptr.h>

#include "base/result.h"
#include "dist/rank_store.h"

namespace c10d {
class Backend;
class Work;
}  // namespace c10d

namespace holdfast::dist {

struct GroupShape {
    int rank = 0;
    int size = 1;
    int local_rank = 0;
    int local_size = 1;  // ranks on this node; the same on all nodes, or the size
};

struct GroupOptions {
    GroupShape shape;
    // In the store, of a group beside the run's own; two of one name must not be formed.
    std::string name{};
    // The address of this machine that other ranks reach.
    std::string local_address = "127.0.0.1";
    double join_timeout_seconds = 120;
    // A collective of the step loop that takes longer means that a rank hangs.
    double timeout_seconds = 600;
};

// One all-to-all of the exchange: a subgroup of ranks, and this one's place in it.
struct ExchangeStage {
    c10::intrusive_ptr<c10d::Backend> backend;
    int size = 1;
    int index = 0;
};

// The sizes of the stages in which ranks of this shape exchange.
std::vector<int> stage_sizes(const GroupShape& shape);

class Communicator {
public:
    // Collective. `device` is the one this rank computes on. kIo: a rank did not come in time.
    static base::Result<std::unique_ptr<Communicator>> form(const RankStore& store,
                                                            const GroupOptions& options,
                                                            c10::Device device);
    ~Communicator();
    Communicator(const Communicator&) = delete;
    Communicator& operator=(const Communicator&) = delete;
    Communicator(Communicator&&) = delete;
    Communicator& operator=(Communicator&&) = delete;

    [[nodiscard]] int rank() const { return options_.shape.rank; }
    [[nodiscard]] int size() const { return options_.shape.size; }
    [[nodiscard]] const GroupShape& shape() const { return options_.shape; }

    // Rank 0 gives, all others receive. The words have one count on all ranks.
    void broadcast_words(std::span<std::int64_t> words);
    // The same without waiting until the others have taken them; rank 0 only.
    void post_words(std::span<const std::int64_t> words);
    // Until they have.
    void wait_posted();
    std::string broadcast_text(const std::string& text_of_rank_0);
    // What each rank gives, in the order of ranks, to all.
    std::vector<std::vector<std::int64_t>> gather_words(std::span<const std::int64_t> words);
    std::vector<std::string> gather_texts(const std::string& text);

    // Every rank of the run, on the device.
    [[nodiscard]] c10d::Backend& device_backend() { return *device_backend_; }
    // Inside a node, then between equal local ranks of the nodes; or all ranks in one stage where
    // there is one node, or where nodes have no power of two of ranks (their sums would not be
    // subtrees of the tree of lanes).
    [[nodiscard]] const std::vector<ExchangeStage>& stages() const { return stages_; }

    // Waits for `work`, and says who was waiting when it fails.
    void wait(c10d::Work& work);

    // A rank is lost: no call here will work again. Any thread.
    [[nodiscard]] bool is_broken() const { return broken_.load(); }

private:
    Communicator(const GroupOptions& options, c10::Device device);
    void make_groups(const RankStore& store);
    c10::intrusive_ptr<c10d::Backend> make_device_group(const RankStore& store,
                                                        const std::string& name,
                                                        int rank,
                                                        int size);

    GroupOptions options_;
    c10::Device device_;
    c10::intrusive_ptr<c10d::Backend> host_backend_;
    c10::intrusive_ptr<c10d::Backend> device_backend_;
    std::vector<ExchangeStage> stages_;
    struct Posted;
    std::vector<Posted> posted_;  // not yet taken by all
    std::atomic<bool> broken_{false};
};

}  // namespace holdfast::dist
