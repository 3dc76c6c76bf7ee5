// Blocks of text to tokens on several threads; results come back in the order of submission.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tokenizer/tokenizer.h"

namespace holdfast::data {

// Text of one or more documents, and which parts of it go where.
struct TextBlock {
    struct Part {
        std::size_t begin = 0;  // in `text`
        std::size_t end = 0;
        bool begins_document = false;  // end-of-text is put before it
        bool held_out = false;
    };
    std::string text;
    std::vector<Part> parts;

    void clear() {
        text.clear();
        parts.clear();
    }
};

struct EncodedBlock {
    std::vector<std::uint16_t> train;
    std::vector<std::uint16_t> val;
};

// Owns its threads, each with an encoder of its own, and joins them in the destructor. submit() and
// take() are for one thread. Results do not depend on the number of threads.
class OrderedEncoder {
public:
    // `tokenizer` must outlive this object; its vocabulary fits 16 bits. threads >= 1.
    OrderedEncoder(const tokenizer::Tokenizer& tokenizer, std::uint32_t threads);
    ~OrderedEncoder();
    OrderedEncoder(const OrderedEncoder&) = delete;
    OrderedEncoder& operator=(const OrderedEncoder&) = delete;
    OrderedEncoder(OrderedEncoder&&) = delete;
    OrderedEncoder& operator=(OrderedEncoder&&) = delete;

    // Takes the contents of `block`, which becomes an empty one. Does not wait: the caller bounds
    // blocks_waiting().
    void submit(TextBlock& block);
    // Submitted and not yet taken.
    [[nodiscard]] std::size_t blocks_waiting() const { return submitted_.size(); }
    // Puts the oldest result in `block`, after waiting for it. Something must have been submitted.
    // An exception of the thread that encoded it (no memory) is thrown here.
    void take(EncodedBlock& block);

private:
    struct Job {
        TextBlock input;
        EncodedBlock output;
        bool is_done = false;  // under mutex_
        std::exception_ptr failure;
    };

    void work();

    const tokenizer::Tokenizer& tokenizer_;
    std::deque<std::unique_ptr<Job>> submitted_;  // of the caller's thread
    std::vector<std::unique_ptr<Job>> spare_;     // likewise; their memory is used again

    std::mutex mutex_;
    std::condition_variable has_work_;
    std::condition_variable has_result_;
    std::deque<Job*> todo_;     // under mutex_
    bool is_stopping_ = false;  // under mutex_
    std::vector<std::thread> threads_;
};

}  // namespace holdfast::data
