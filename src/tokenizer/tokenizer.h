// Text to token ids and back.
//
// Two kinds: "gpt2" (byte-level BPE, 50257 ids, the same ids as tiktoken's encode_ordinary) and
// "bytes" (each byte is its own id, 257 ids). Special tokens written out in the text are plain
// text: no input can produce end_of_text().
//
// Bytes that are not valid UTF-8: "gpt2" first replaces them with U+FFFD as Python's
// bytes.decode("utf-8", errors="replace") does (tokenizer/utf8.h), so decode(encode(text)) gives
// the replaced text; "bytes" keeps every byte as it is.
//
// Thread use: a Tokenizer is immutable, any thread may call it. An Encoder carries a cache of
// words: one a thread, and its Tokenizer must outlive it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace holdfast::tokenizer {

// A tokenizer with the memory of the words it has met: the fast way to encode much text. The ids
// are the same with and without that memory. One thread at a time.
class Encoder {
public:
    Encoder() = default;
    virtual ~Encoder() = default;
    Encoder(const Encoder&) = delete;
    Encoder& operator=(const Encoder&) = delete;
    Encoder(Encoder&&) = delete;
    Encoder& operator=(Encoder&&) = delete;

    // Appends the ids of `text` to `out`.
    virtual void encode_ordinary(std::string_view text, std::vector<std::uint32_t>& out) = 0;
};

class Tokenizer {
public:
    Tokenizer() = default;
    virtual ~Tokenizer() = default;
    Tokenizer(const Tokenizer&) = delete;
    Tokenizer& operator=(const Tokenizer&) = delete;
    Tokenizer(Tokenizer&&) = delete;
    Tokenizer& operator=(Tokenizer&&) = delete;

    // What make_tokenizer was asked for.
    [[nodiscard]] virtual std::string_view name() const = 0;
    // Ids are 0 .. vocab_size() - 1, end_of_text() among them.
    [[nodiscard]] virtual std::uint32_t vocab_size() const = 0;
    // The id that stands between documents.
    [[nodiscard]] virtual std::uint32_t end_of_text() const = 0;
    // XXH3 of all that decides the ids (ranks, splitting pattern, Unicode classes, special ids):
    // two tokenizers with the same fingerprint give the same ids for every text.
    [[nodiscard]] virtual std::uint64_t fingerprint() const = 0;

    [[nodiscard]] virtual std::unique_ptr<Encoder> make_encoder() const = 0;
    // Appends the ids of `text` to `out`; for a prompt or a test. Time and memory grow as
    // n log n at worst, whatever the text.
    virtual void encode_ordinary(std::string_view text, std::vector<std::uint32_t>& out) const = 0;

    // Appends the bytes of `ids` to `out`; they need not be whole UTF-8 characters (see
    // Utf8StreamDecoder). end_of_text() reads "<|endoftext|>". kInvalid, `out` unchanged, when an
    // id is not below vocab_size().
    virtual base::Status decode(std::span<const std::uint32_t> ids, std::string& out) const = 0;

    // Where a long text may be cut without changing its ids: the last position p > 0 in `text` with
    // encode(text + rest) == encode(text[0, p)) + encode(text[p, end) + rest) for every rest.
    // 0 when there is none.
    [[nodiscard]] virtual std::size_t last_cut(std::string_view text) const = 0;
};

// "gpt2" or "bytes"; kInvalid with the list of names for any other. "gpt2" takes some milliseconds:
// it parses the ranks embedded in the program.
base::Result<std::unique_ptr<Tokenizer>> make_tokenizer(std::string_view name);

}  // namespace holdfast::tokenizer
