#include "data/ordered_encoder.h"

#include <string_view>
#include <utility>

#include "base/check.h"

namespace holdfast::data {

namespace {

void append_tokens(const std::vector<std::uint32_t>& ids, std::vector<std::uint16_t>& tokens) {
    const std::size_t before = tokens.size();
    tokens.resize(before + ids.size());
    for (std::size_t index = 0; index < ids.size(); ++index) {
        tokens[before + index] = static_cast<std::uint16_t>(ids[index]);
    }
}

void encode(const TextBlock& input,
            std::uint32_t end_of_text,
            tokenizer::Encoder& encoder,
            std::vector<std::uint32_t>& ids,
            EncodedBlock& output) {
    output.train.clear();
    output.val.clear();
    for (const TextBlock::Part& part : input.parts) {
        ids.clear();
        if (part.begins_document) {
            ids.push_back(end_of_text);
        }
        encoder.encode_ordinary(
            std::string_view(input.text).substr(part.begin, part.end - part.begin), ids);
        append_tokens(ids, part.held_out ? output.val : output.train);
    }
}

}  // namespace

OrderedEncoder::OrderedEncoder(const tokenizer::Tokenizer& tokenizer, std::uint32_t threads)
    : tokenizer_(tokenizer) {
    HF_CHECK(threads >= 1, "an encoder without threads");
    HF_CHECK(tokenizer.vocab_size() <= 0x10000,
             "tokens of {} kinds do not fit 16 bits",
             tokenizer.vocab_size());
    threads_.reserve(threads);
    for (std::uint32_t number = 0; number < threads; ++number) {
        threads_.emplace_back([this] { work(); });
    }
}

OrderedEncoder::~OrderedEncoder() {
    {
        const std::scoped_lock lock(mutex_);
        is_stopping_ = true;
    }
    has_work_.notify_all();
    for (std::thread& thread : threads_) {
        thread.join();
    }
}

void OrderedEncoder::submit(TextBlock& block) {
    if (spare_.empty()) {
        spare_.push_back(std::make_unique<Job>());
    }
    std::unique_ptr<Job> job = std::move(spare_.back());
    spare_.pop_back();
    std::swap(job->input, block);
    block.clear();
    job->is_done = false;
    job->failure = nullptr;
    Job* const given = job.get();
    submitted_.push_back(std::move(job));
    {
        const std::scoped_lock lock(mutex_);
        todo_.push_back(given);
    }
    has_work_.notify_one();
}

void OrderedEncoder::take(EncodedBlock& block) {
    HF_CHECK(!submitted_.empty(), "nothing was submitted");
    std::unique_ptr<Job> job = std::move(submitted_.front());
    submitted_.pop_front();
    {
        std::unique_lock lock(mutex_);
        has_result_.wait(lock, [&] { return job->is_done; });
    }
    if (job->failure != nullptr) {
        std::rethrow_exception(job->failure);
    }
    std::swap(job->output, block);
    spare_.push_back(std::move(job));
}

void OrderedEncoder::work() {
    const std::unique_ptr<tokenizer::Encoder> encoder = tokenizer_.make_encoder();
    std::vector<std::uint32_t> ids;
    std::unique_lock lock(mutex_);
    while (true) {
        has_work_.wait(lock, [&] { return is_stopping_ || !todo_.empty(); });
        if (is_stopping_) {
            return;
        }
        Job* const job = todo_.front();
        todo_.pop_front();
        lock.unlock();
        try {
            encode(job->input, tokenizer_.end_of_text(), *encoder, ids, job->output);
        } catch (...) {  // take() throws it on the caller's thread
            job->failure = std::current_exception();
        }
        lock.lock();
        job->is_done = true;
        has_result_.notify_one();
    }
}

}  // namespace holdfast::data
