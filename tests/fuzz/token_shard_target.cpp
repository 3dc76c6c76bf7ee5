// A token shard. The input is a file; it is read under two names as it is, and once more with a
// header whose count fits its length.
#include <algorithm>
#include <cstring>

#include "base/checksum.h"
#include "data/token_shard.h"
#include "fuzz/fuzz_target.h"
#include "fuzz/memory_files.h"

namespace holdfast::fuzz {

using data::ShardFormat;
using data::TokenShard;

namespace {

constexpr std::size_t kHeaderBytes = 1024;

template <typename Token>
std::vector<std::int32_t> decoded(std::string_view bytes) {
    std::vector<std::int32_t> tokens;
    for (std::size_t at = 0; at < bytes.size(); at += sizeof(Token)) {
        Token token{};
        std::memcpy(&token, bytes.data() + at, sizeof(Token));
        tokens.push_back(static_cast<std::int32_t>(token));
    }
    return tokens;
}

void check_shard(const TokenShard& shard, std::string_view file) {
    const bool is_raw = shard.format() == ShardFormat::kRawUint16;
    const std::string_view body = file.substr(is_raw ? 0 : kHeaderBytes);
    const std::vector<std::int32_t> expected = shard.format() == ShardFormat::kLlmcUint32
                                                   ? decoded<std::uint32_t>(body)
                                                   : decoded<std::uint16_t>(body);
    const auto count = static_cast<std::int64_t>(expected.size());
    require(shard.token_count() == count && count > 0, "the count fits the length");
    std::vector<std::int32_t> tokens(expected.size());
    shard.copy(0, tokens);
    require(tokens == expected && shard.token(count - 1) == expected.back(),
            "tokens are the bytes of the file");
    require(shard.file_bytes() == file.size(), "the length is the file's");
    static_cast<void>(shard.sampled_checksum());  // reads what it names: nothing past the end

    constexpr std::int32_t kVocabSize = 50257;
    const bool all_in_vocabulary = std::all_of(
        expected.begin(), expected.end(), [](std::int32_t t) { return t >= 0 && t < kVocabSize; });
    const base::Status checked = shard.check_tokens(kVocabSize, base::checksum64(file));
    require(checked.ok() == all_in_vocabulary,
            "a token is refused exactly when it is out of range");
    require(!shard.check_tokens(kVocabSize, base::checksum64(file) + 1).ok(),
            "another checksum is refused");
}

bool check_file(const std::string& path, std::string_view file) {
    MemoryFiles files(std::map<std::string, std::string>{{path, std::string(file)}});
    const auto shard = TokenShard::open(files, path);
    if (!shard.ok()) {
        require_one_line(shard.error());
        return false;
    }
    check_shard(shard.value(), file);
    return true;
}

// The input with magic, version and count of a shard of `width` bytes a token that has its length.
std::string with_right_header(std::string_view input, std::uint32_t width) {
    std::string file(input);
    file.resize(std::max(file.size(), kHeaderBytes + width), '\x01');
    file.resize(kHeaderBytes + (file.size() - kHeaderBytes) / width * width);
    const std::uint32_t words[3] = {
        width == 2 ? 20240520U : 20240801U,
        width == 2 ? 1U : 7U,
        static_cast<std::uint32_t>((file.size() - kHeaderBytes) / width)};
    std::memcpy(file.data(), words, sizeof(words));
    return file;
}

}  // namespace

bool check_token_shard(std::string_view input) {
    const bool taken = check_file("data/train.bin", input);
    const bool taken_elsewhere = check_file("data/train", input);
    for (const std::uint32_t width : {2U, 4U}) {
        require(check_file("data/train", with_right_header(input, width)),
                "a right header is believed");
    }
    return taken || taken_elsewhere;
}

std::vector<std::string> token_shard_seeds() {
    return {with_right_header(std::string(kHeaderBytes, '\0') + "tokens", 2),
            with_right_header(std::string(kHeaderBytes, '\0') + std::string(12, '\1'), 4),
            std::string("\x01\x00\x02\x00\x50\xC4", 6)};
}

}  // namespace holdfast::fuzz
