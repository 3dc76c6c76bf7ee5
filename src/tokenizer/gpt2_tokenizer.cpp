#include "tokenizer/gpt2_tokenizer.h"

#include <array>

#include <fmt/format.h>

#include "base/check.h"
#include "base/checksum.h"
#include "tokenizer/bpe_merge.h"
#include "tokenizer/bpe_vocabulary.h"
#include "tokenizer/gpt2_ranks.h"
#include "tokenizer/pretokenizer.h"
#include "tokenizer/unicode_class.h"
#include "tokenizer/utf8.h"
#include "tokenizer/word_cache.h"

namespace holdfast::tokenizer {

namespace {

constexpr std::uint32_t kEndOfText = 50256;
constexpr std::string_view kPattern =
    R"('(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s)";

// The ids of one piece, without the cache. As tiktoken does, a piece that is a token is that token,
// before any merging is tried.
void append_piece(const BpeVocabulary& vocabulary,
                  BpeMerge& merge,
                  std::string_view piece,
                  std::vector<std::uint32_t>& out) {
    const std::uint32_t whole = vocabulary.find(piece);
    if (whole != BpeVocabulary::kNone) {
        out.push_back(whole);
    } else {
        merge.append_ids(piece, out);
    }
}

class Gpt2Encoder final : public Encoder {
public:
    Gpt2Encoder(const BpeVocabulary& vocabulary, const UnicodeClasses& classes)
        : vocabulary_(vocabulary), classes_(classes), merge_(vocabulary) {}

    void encode_ordinary(std::string_view text, std::vector<std::uint32_t>& out) override {
        if (is_well_formed_utf8(text)) {
            encode_well_formed(text, out);
        } else {
            std::string replaced;
            append_well_formed(text, replaced);
            encode_well_formed(replaced, out);
        }
    }

private:
    // A piece found but not yet turned into ids.
    struct Word {
        WordCache::Key key;  // of length 0: too long for the cache
        std::string_view text;
    };

    // Finds some pieces ahead of their ids, so that the look-ups' memory is on its way meanwhile.
    void encode_well_formed(std::string_view text, std::vector<std::uint32_t>& out) {
        std::size_t begin = 0;
        while (begin < text.size()) {
            std::size_t count = 0;
            while (count < kWordsAhead && begin < text.size()) {
                const std::size_t end = piece_end(classes_, text, begin);
                Word& word = words_[count];
                word.text = text.substr(begin, end - begin);
                word.key = {};
                if (word.text.size() <= WordCache::kWordBytesMax) [[likely]] {
                    word.key = WordCache::key_of(word.text, text.size() - begin);
                    cache_.prefetch(word.key);
                }
                begin = end;
                ++count;
            }
            for (std::size_t index = 0; index < count; ++index) {
                append_word(words_[index], out);
            }
            flush(out);
        }
    }

    // Copies all the places of an entry and counts the filled ones: cheaper than a loop whose
    // length the processor cannot foresee.
    void append_word(const Word& word, std::vector<std::uint32_t>& out) {
        const WordCache::Entry* entry = cache_.find(word.key);
        if (entry == nullptr || word.key == WordCache::Key{}) [[unlikely]] {
            flush(out);
            const std::size_t before = out.size();
            append_piece(vocabulary_, merge_, word.text, out);
            if (word.text.size() <= WordCache::kWordBytesMax) {
                cache_.insert(word.key, std::span(out).subspan(before));
            }
            return;
        }
        for (std::size_t index = 0; index < WordCache::kIdsMax; ++index) {
            ready_[ready_count_ + index] = entry->ids[index];
        }
        ready_count_ += entry->count;
    }

    void flush(std::vector<std::uint32_t>& out) {
        out.insert(
            out.end(), ready_.begin(), ready_.begin() + static_cast<std::ptrdiff_t>(ready_count_));
        ready_count_ = 0;
    }

    static constexpr std::size_t kWordsAhead = 64;

    const BpeVocabulary& vocabulary_;
    const UnicodeClasses& classes_;
    BpeMerge merge_;
    WordCache cache_;
    std::array<Word, kWordsAhead> words_;
    // Ids on their way to `out`.
    std::array<std::uint32_t, kWordsAhead * WordCache::kIdsMax> ready_{};
    std::size_t ready_count_ = 0;
};

class Gpt2Tokenizer final : public Tokenizer {
public:
    Gpt2Tokenizer() : vocabulary_(BpeVocabulary::parse(gpt2_ranks_text())) {
        HF_CHECK(vocabulary_.size() == kEndOfText, "GPT-2 has {} ranks", vocabulary_.size());
        base::StreamingChecksum checksum;
        checksum.update(kPattern);
        checksum.update(unicode_class_version());
        checksum.update(std::as_bytes(unicode_class_runs()));
        checksum.update("<|endoftext|> 50256");
        checksum.update(gpt2_ranks_text());
        fingerprint_ = checksum.digest64();
    }

    [[nodiscard]] std::string_view name() const override { return "gpt2"; }
    [[nodiscard]] std::uint32_t vocab_size() const override { return kEndOfText + 1; }
    [[nodiscard]] std::uint32_t end_of_text() const override { return kEndOfText; }
    [[nodiscard]] std::uint64_t fingerprint() const override { return fingerprint_; }

    [[nodiscard]] std::unique_ptr<Encoder> make_encoder() const override {
        return std::make_unique<Gpt2Encoder>(vocabulary_, classes_);
    }

    void encode_ordinary(std::string_view text, std::vector<std::uint32_t>& out) const override {
        std::string replaced;
        if (!is_well_formed_utf8(text)) {
            append_well_formed(text, replaced);
            text = replaced;
        }
        BpeMerge merge(vocabulary_);
        for (std::size_t begin = 0; begin < text.size();) {
            const std::size_t end = piece_end(classes_, text, begin);
            append_piece(vocabulary_, merge, text.substr(begin, end - begin), out);
            begin = end;
        }
    }

    base::Status decode(std::span<const std::uint32_t> ids, std::string& out) const override {
        const std::size_t before = out.size();
        for (const std::uint32_t id : ids) {
            if (id > kEndOfText) {
                out.resize(before);
                return base::Error{
                    base::ErrorKind::kInvalid,
                    fmt::format(
                        "token {} is not one of the tokenizer gpt2 (0 .. {})", id, kEndOfText),
                    0};
            }
            out.append(id == kEndOfText ? "<|endoftext|>" : vocabulary_.bytes_of(id));
        }
        return {};
    }

    // Before ASCII white space after a character that is not white space: a piece begins there
    // (pretokenizer.h), and an ASCII byte ends whatever ill-formed sequence came before it.
    [[nodiscard]] std::size_t last_cut(std::string_view text) const override {
        for (std::size_t index = text.size(); index-- > 1;) {
            const auto byte = static_cast<std::uint8_t>(text[index]);
            if (byte < 0x80 && classes_.of_ascii(byte) == UnicodeClass::kSpace &&
                !ends_in_white_space(text.substr(0, index))) {
                return index;
            }
        }
        return 0;
    }

private:
    // `text` has at least one byte. What is ill-formed becomes U+FFFD, which is not white space.
    [[nodiscard]] bool ends_in_white_space(std::string_view text) const {
        std::size_t lead = text.size() - 1;
        while (lead > 0 && lead + 4 > text.size() &&
               (static_cast<std::uint8_t>(text[lead]) & 0xC0U) == 0x80U) {
            --lead;
        }
        const Utf8Character last = first_character(text.substr(lead));
        return last.well_formed && lead + last.bytes == text.size() &&
               classes_.of(last.code_point) == UnicodeClass::kSpace;
    }

    BpeVocabulary vocabulary_;
    UnicodeClasses classes_;
    std::uint64_t fingerprint_ = 0;
};

}  // namespace

std::unique_ptr<Tokenizer> make_gpt2_tokenizer() {
    return std::make_unique<Gpt2Tokenizer>();
}

}  // namespace holdfast::tokenizer
