// Any bytes to token ids and back, and any ids to bytes.
#include <algorithm>
#include <cstring>

#include "fuzz/fuzz_target.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/utf8.h"

namespace holdfast::fuzz {

using tokenizer::Tokenizer;

namespace {

const Tokenizer& made_once(std::string_view name) {
    static const auto gpt2 = tokenizer::make_tokenizer("gpt2");
    static const auto bytes = tokenizer::make_tokenizer("bytes");
    return name == "gpt2" ? *gpt2.value() : *bytes.value();
}

std::vector<std::uint32_t> ids_of(const Tokenizer& tokenizer, std::string_view text) {
    std::vector<std::uint32_t> ids;
    tokenizer.encode_ordinary(text, ids);
    return ids;
}

void check_encoding(const Tokenizer& tokenizer,
                    std::string_view text,
                    const std::string& expected) {
    const std::vector<std::uint32_t> ids = ids_of(tokenizer, text);
    require(std::all_of(ids.begin(),
                        ids.end(),
                        [&](std::uint32_t id) {
                            return id < tokenizer.vocab_size() && id != tokenizer.end_of_text();
                        }),
            "ids are of the vocabulary, and no text writes end-of-text");
    std::string decoded;
    require(tokenizer.decode(ids, decoded).ok() && decoded == expected, "ids decode to their text");

    const std::size_t cut = tokenizer.last_cut(text);
    require(cut <= text.size(), "a cut is in the text");
    std::vector<std::uint32_t> joined = ids_of(tokenizer, text.substr(0, cut));
    tokenizer.encode_ordinary(text.substr(cut), joined);
    require(joined == ids, "a cut does not change the ids");
}

void check_encoder(const Tokenizer& tokenizer, std::string_view text) {
    const std::vector<std::uint32_t> ids = ids_of(tokenizer, text);
    const auto encoder = tokenizer.make_encoder();
    for (const char* claim :
         {"an encoder gives the same ids", "an encoder that knows the words gives the same ids"}) {
        std::vector<std::uint32_t> encoded;
        encoder->encode_ordinary(text, encoded);
        require(encoded == ids, claim);
    }
}

// The input as little-endian ids, most of which no vocabulary has.
void check_decoding(const Tokenizer& tokenizer, std::string_view input) {
    std::vector<std::uint32_t> ids(input.size() / sizeof(std::uint32_t));
    if (!ids.empty()) {
        std::memcpy(ids.data(), input.data(), ids.size() * sizeof(std::uint32_t));
    }
    const bool all_known = std::all_of(
        ids.begin(), ids.end(), [&](std::uint32_t id) { return id < tokenizer.vocab_size(); });
    std::string decoded = "before";
    const base::Status status = tokenizer.decode(ids, decoded);
    require(status.ok() == all_known, "an id is refused exactly when it is unknown");
    if (!status.ok()) {
        require_one_line(status.error());
        require(decoded == "before", "what is refused adds nothing");
    }
    for (std::uint32_t& id : ids) {
        id %= tokenizer.vocab_size();
    }
    require(tokenizer.decode(ids, decoded).ok(), "known ids decode");
}

std::string well_formed(std::string_view text) {
    std::string out;
    tokenizer::append_well_formed(text, out);
    return out;
}

void check_utf8(std::string_view input) {
    const std::string whole = well_formed(input);
    require(tokenizer::is_well_formed_utf8(whole), "what was replaced is well-formed");
    require(tokenizer::is_well_formed_utf8(input) == (whole == input),
            "only what is ill-formed is replaced");
    tokenizer::Utf8StreamDecoder decoder;
    std::string in_pieces;
    for (std::size_t at = 0, bytes = 1; at < input.size(); at += bytes, bytes = bytes % 3 + 1) {
        decoder.append(input.substr(at, bytes), in_pieces);
    }
    decoder.finish(in_pieces);
    require(in_pieces == whole, "pieces give the same text as the whole");
}

}  // namespace

bool check_tokenizer(std::string_view input) {
    check_utf8(input);
    check_encoding(made_once("gpt2"), input, well_formed(input));
    check_encoding(made_once("bytes"), input, std::string(input));
    for (const char* name : {"gpt2", "bytes"}) {
        check_decoding(made_once(name), input);
    }
    return true;
}

// A target of its own: an encoder has megabytes of memory for words, so that far fewer inputs
// run.
bool check_encoder(std::string_view input) {
    check_encoder(made_once("gpt2"), input);
    check_encoder(made_once("bytes"), input);
    return true;
}

std::vector<std::string> tokenizer_seeds() {
    return {"Hello, world! I'll say it's 2026.\n\n  Two  spaces",
            "na\xC3\xAFve \xE2\x82\xAC 5 \xF0\x9F\x98\x80 \xE6\xBC\xA2\xE5\xAD\x97",
            "<|endoftext|> \xFF\xFE \xE2\x82 \xED\xA0\x80 \xF4\x90\x80\x80",
            std::string(300, 'a')};
}

}  // namespace holdfast::fuzz
