#include "data/shard_builder.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "base/words.h"

namespace holdfast::data {

using base::Error;
using base::ErrorKind;
using base::Result;
using base::Status;

namespace {

// Large enough that handing a block over costs nothing beside encoding it, small enough that a
// small input keeps several threads busy.
constexpr std::size_t kBlockBytes = std::size_t{256} << 10U;

}  // namespace

void InputHash::begin_document(std::uint64_t bytes) {
    const std::array<std::uint64_t, 1> length = {bytes};
    checksum_.update(std::as_bytes(std::span(length)));
    ++documents_;
}

ShardBuilder::ShardBuilder(fs::FileSystem& file_system,
                           const std::string& folder,
                           const tokenizer::Tokenizer& tokenizer,
                           const PrepareOptions& options,
                           SplitRule rule)
    : tokenizer_(tokenizer),
      options_(options),
      rule_(rule),
      train_(file_system, folder, "train", 1, options.shard_tokens_max),
      val_(file_system, folder, "val", 0, options.shard_tokens_max),
      encoder_(tokenizer, options.threads),
      draw_(options.val_fraction) {}

Result<DatasetSidecar> ShardBuilder::build(TextSource& source) {
    progress_.input_bytes_total = source.input_bytes_total();
    while (true) {
        const auto document = source.next();
        if (!document.ok()) {
            return document.error();
        }
        if (!document.value().has_value()) {
            break;
        }
        const Status added = add_document(source, *document.value());
        if (!added.ok()) {
            return added.error();
        }
    }
    Status status = submit_block();
    while (status.ok() && encoder_.blocks_waiting() > 0) {
        status = write_oldest();
    }
    if (!status.ok()) {
        return status.error();
    }
    Result<std::vector<ShardSummary>> train = train_.finish();
    if (!train.ok()) {
        return train.error();
    }
    Result<std::vector<ShardSummary>> val = val_.finish();
    if (!val.ok()) {
        return val.error();
    }
    sidecar_.train.shards = std::move(train).value();
    sidecar_.val.shards = std::move(val).value();
    sidecar_.tokenizer = tokenizer_.name();
    sidecar_.tokenizer_fingerprint = tokenizer_.fingerprint();
    sidecar_.vocab_size = tokenizer_.vocab_size();
    sidecar_.end_of_text = tokenizer_.end_of_text();
    sidecar_.input_hash = hash_.digest();
    sidecar_.input_documents = hash_.documents();
    sidecar_.val_fraction = options_.val_fraction;
    sidecar_.shard_tokens_max = options_.shard_tokens_max;
    sidecar_.split_rule = rule_;
    return std::move(sidecar_);
}

Status ShardBuilder::add_document(TextSource& source, const TextDocument& document) {
    hash_.begin_document(document.bytes);
    const Result<std::uint64_t> cut = held_out_begin(source, document);
    if (!cut.ok()) {
        return cut.error();
    }
    const Status added = add_section(source, document, cut.value(), false);
    return added.ok() ? add_section(source, document, document.bytes - cut.value(), true) : added;
}

// Bytes of the document before what is held out: 0 when all of it is, its length when none.
Result<std::uint64_t> ShardBuilder::held_out_begin(TextSource& source,
                                                   const TextDocument& document) {
    std::string text;
    if (rule_ == SplitRule::kDocuments) {
        const Status read =
            source.read_at(0, std::min<std::uint64_t>(document.bytes, kDrawBytes), text);
        if (!read.ok()) {
            return read.error();
        }
        return draw_.is_held_out(text) ? 0 : document.bytes;
    }
    if (rule_ == SplitRule::kTails) {
        const TailSearch search = tail_search(document.bytes, options_.val_fraction);
        const Status read = source.read_at(search.begin, search.end - search.begin, text);
        if (!read.ok()) {
            return read.error();
        }
        return tail_begin(search, document.bytes, text);
    }
    return document.bytes;
}

// The next `bytes` bytes of the document, as a document of one split.
Status ShardBuilder::add_section(TextSource& source,
                                 const TextDocument& document,
                                 std::uint64_t bytes,
                                 bool held_out) {
    if (bytes == 0) {
        return {};
    }
    DatasetSplit& split = held_out ? sidecar_.val : sidecar_.train;
    ++split.documents;
    split.text_bytes += bytes;
    TextBlock::Part part{
        .begin = block_.text.size(), .begins_document = true, .held_out = held_out};
    for (std::uint64_t left = bytes; left > 0;) {
        const std::size_t before = block_.text.size();
        const Result<std::size_t> read =
            source.read(std::min<std::uint64_t>(left, kBlockBytes), block_.text);
        if (!read.ok()) {
            return read.error();
        }
        hash_.update(std::string_view(block_.text).substr(before));
        left -= read.value();
        progress_.input_bytes_done = source.input_bytes_done();
        if (left > 0) {
            const Status cut = cut_and_submit(document, part);
            if (!cut.ok()) {
                return cut;
            }
        }
    }
    part.end = block_.text.size();
    block_.parts.push_back(part);
    return block_.text.size() >= kBlockBytes ? submit_block() : Status{};
}

// Hands over what can be encoded without knowing how the section goes on; `part` becomes the rest.
Status ShardBuilder::cut_and_submit(const TextDocument& document, TextBlock::Part& part) {
    const std::string_view text = std::string_view(block_.text).substr(part.begin);
    const std::size_t cut = tokenizer_.last_cut(text);
    if (cut == 0) {
        if (text.size() <= kUncutBytesMax) {
            return {};
        }
        return Error{ErrorKind::kInvalid,
                     fmt::format("{}: {} of text without white space after \"{}\"; is it text? "
                                 "Break it into lines or leave it out",
                                 document.place,
                                 base::bytes_in_words(text.size()),
                                 text.substr(0, 20)),
                     0};
    }
    part.end = part.begin + cut;
    const std::string rest(text.substr(cut));
    block_.text.resize(part.end);
    block_.parts.push_back(part);
    const Status submitted = submit_block();
    block_.text = rest;
    part.begin = 0;
    part.begins_document = false;
    return submitted;
}

Status ShardBuilder::submit_block() {
    if (block_.parts.empty()) {
        return {};
    }
    const std::size_t waiting_max = 2 * std::size_t{options_.threads} + 1;
    while (encoder_.blocks_waiting() >= waiting_max) {
        const Status written = write_oldest();
        if (!written.ok()) {
            return written;
        }
    }
    encoder_.submit(block_);
    return {};
}

Status ShardBuilder::write_oldest() {
    encoder_.take(encoded_);
    Status status = train_.append(encoded_.train);
    if (status.ok()) {
        status = val_.append(encoded_.val);
    }
    sidecar_.train.tokens += encoded_.train.size();
    sidecar_.val.tokens += encoded_.val.size();
    progress_.tokens += encoded_.train.size() + encoded_.val.size();
    if (status.ok() && options_.on_progress) {
        options_.on_progress(progress_);
    }
    return status;
}

}  // namespace holdfast::data
