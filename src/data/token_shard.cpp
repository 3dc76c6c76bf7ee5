#include "data/token_shard.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "base/checksum.h"

namespace holdfast::data {

using base::Error;
using base::ErrorKind;
using base::Result;
using base::Status;

namespace {

static_assert(std::endian::native == std::endian::little,
              "token shards are little-endian and are read in place");

constexpr std::uint64_t kHeaderBytes = 1024;
constexpr std::uint32_t kMagicUint16 = 20240520;
constexpr std::uint32_t kMagicUint32 = 20240801;
constexpr std::uint64_t kSampleBlockBytes = std::uint64_t{64} << 10U;
// Fits a second-level cache, so that the checksum finds what the token check just read.
constexpr std::size_t kCheckBlockBytes = std::size_t{256} << 10U;

template <typename T>
T read_at(std::span<const std::byte> bytes, std::size_t offset) {
    T value{};
    std::memcpy(&value, bytes.data() + offset, sizeof(T));
    return value;
}

std::size_t token_width(ShardFormat format) {
    return format == ShardFormat::kLlmcUint32 ? 4 : 2;
}

struct KnownMagic {
    std::string_view first_bytes;
    std::string_view kind;
};

using namespace std::string_view_literals;

// What people put beside their token shards, by its first bytes. The numbers of llm.c's files are
// little-endian: 20240326 is 06 D8 34 01.
constexpr std::array kOtherKinds = {
    KnownMagic{"\xC6\xD7\x34\x01"sv, "an llm.c model (magic 20240326)"},
    KnownMagic{"\xC7\xD7\x34\x01"sv, "an llm.c debug state (magic 20240327)"},
    KnownMagic{"\xC8\xD7\x34\x01"sv, "an llm.c tokenizer (magic 20240328)"},
    KnownMagic{"\x8A\xD8\x34\x01"sv, "an llm.c evaluation file (magic 20240522)"},
    KnownMagic{"\x8F\xD8\x34\x01"sv, "an llm.c optimizer state (magic 20240527)"},
    KnownMagic{"BIN.TOK\n"sv, "an llmq token file"},
    KnownMagic{"\x93NUMPY"sv, "a NumPy array"},
    KnownMagic{"PAR1"sv, "a Parquet file"},
    KnownMagic{"PK\x03\x04"sv, "a zip archive or a PyTorch file"},
    KnownMagic{"\x1F\x8B"sv, "a gzip file"},
    KnownMagic{"\x28\xB5\x2F\xFD"sv, "a zstd file"},
};

Error wrong_kind(const std::string& path, std::string_view kind) {
    return Error{ErrorKind::kInvalid,
                 fmt::format("{} is {}, not a token shard; expected llm.c shards (magic 20240520 "
                             "or 20240801) or raw uint16 tokens; `holdfast prepare` makes shards "
                             "from text",
                             path,
                             kind),
                 0};
}

// A raw file has no header to tell by, and pairs of letters are small numbers: a text would pass as
// tokens. Real tokens are not printable ASCII for 64 bytes on end.
bool looks_like_text(std::span<const std::byte> bytes) {
    constexpr std::size_t kBytesMin = 64;
    constexpr std::size_t kBytesMax = 4096;
    if (bytes.size() < kBytesMin) {
        return false;
    }
    const auto head = bytes.first(std::min(bytes.size(), kBytesMax));
    return std::all_of(head.begin(), head.end(), [](std::byte byte) {
        const auto c = std::to_integer<unsigned char>(byte);
        return (c >= 0x20 && c < 0x7F) || (c >= 0x09 && c <= 0x0D);
    });
}

struct ShardShape {
    ShardFormat format = ShardFormat::kRawUint16;
    std::int64_t token_count = 0;
};

Result<ShardShape> headed_shape(std::span<const std::byte> bytes,
                                const std::string& path,
                                std::uint32_t magic) {
    const ShardFormat format =
        magic == kMagicUint16 ? ShardFormat::kLlmcUint16 : ShardFormat::kLlmcUint32;
    const std::uint32_t version_expected = format == ShardFormat::kLlmcUint16 ? 1 : 7;
    if (bytes.size() < kHeaderBytes) {
        return Error{ErrorKind::kCorrupt,
                     fmt::format("{} is {} bytes long; the header of an {} shard alone has {}: the "
                                 "file is cut off, fetch or prepare it again",
                                 path,
                                 bytes.size(),
                                 to_string(format),
                                 kHeaderBytes),
                     0};
    }
    const auto version = read_at<std::uint32_t>(bytes, 4);
    if (version != version_expected) {
        return Error{
            ErrorKind::kInvalid,
            fmt::format("{} is an llm.c token shard (magic {}) of version {}; version {} is read",
                        path,
                        magic,
                        version,
                        version_expected),
            0};
    }
    // llm.c writes a signed number; read as unsigned it also covers shards of up to 2^32 - 1
    // tokens.
    const std::uint64_t count = read_at<std::uint32_t>(bytes, 8);
    const std::uint64_t bytes_expected = kHeaderBytes + count * token_width(format);
    if (bytes.size() != bytes_expected) {
        return Error{ErrorKind::kCorrupt,
                     fmt::format("{} is {} bytes long; its header says {} tokens, which make {}: "
                                 "the file is cut off or damaged, fetch or prepare it again",
                                 path,
                                 bytes.size(),
                                 count,
                                 bytes_expected),
                     0};
    }
    if (count == 0) {
        return Error{ErrorKind::kInvalid,
                     fmt::format("{} holds no tokens; leave it out or prepare it again", path),
                     0};
    }
    return ShardShape{format, static_cast<std::int64_t>(count)};
}

Result<ShardShape> raw_shape(std::span<const std::byte> bytes, const std::string& path) {
    for (const KnownMagic& other : kOtherKinds) {
        if (bytes.size() >= other.first_bytes.size() &&
            std::memcmp(bytes.data(), other.first_bytes.data(), other.first_bytes.size()) == 0) {
            return wrong_kind(path, other.kind);
        }
    }
    if (bytes.size() >= 4) {
        const auto magic = __builtin_bswap32(read_at<std::uint32_t>(bytes, 0));
        if (magic == kMagicUint16 || magic == kMagicUint32) {
            return wrong_kind(path, "an llm.c shard of a big-endian machine");
        }
    }
    if (looks_like_text(bytes)) {
        return wrong_kind(path, "text");
    }
    if (!path.ends_with(".bin")) {
        return Error{ErrorKind::kInvalid,
                     fmt::format("{} has no header of an llm.c shard, and only a file whose name "
                                 "ends in .bin is read as raw uint16 tokens; rename it if it is "
                                 "one, or make shards of it with `holdfast prepare`",
                                 path),
                     0};
    }
    if (bytes.size() % 2 != 0) {
        return Error{ErrorKind::kCorrupt,
                     fmt::format("{} is {} bytes long, an odd number; raw uint16 tokens take 2 "
                                 "bytes each: the file is cut off or of another kind",
                                 path,
                                 bytes.size()),
                     0};
    }
    return ShardShape{ShardFormat::kRawUint16, static_cast<std::int64_t>(bytes.size() / 2)};
}

Result<ShardShape> shape_of(std::span<const std::byte> bytes, const std::string& path) {
    if (bytes.empty()) {
        return Error{ErrorKind::kInvalid,
                     fmt::format("{} is empty; a token shard is expected: fetch or prepare it "
                                 "again",
                                 path),
                     0};
    }
    if (bytes.size() >= 4) {
        const auto magic = read_at<std::uint32_t>(bytes, 0);
        if (magic == kMagicUint16 || magic == kMagicUint32) {
            return headed_shape(bytes, path, magic);
        }
    }
    return raw_shape(bytes, path);
}

// The index of the first token of `bytes` not below `limit`, or the token count. The whole block is
// first reduced to its maximum, which compiles to vector code; the search is for the unlucky.
template <typename Token>
std::size_t first_not_below(std::span<const std::byte> bytes, std::uint64_t limit) {
    const std::size_t count = bytes.size() / sizeof(Token);
    Token highest = 0;
    for (std::size_t i = 0; i < count; ++i) {
        highest = std::max(highest, read_at<Token>(bytes, i * sizeof(Token)));
    }
    if (highest < limit) {
        return count;
    }
    std::size_t i = 0;
    while (read_at<Token>(bytes, i * sizeof(Token)) < limit) {
        ++i;
    }
    return i;
}

}  // namespace

std::string_view to_string(ShardFormat format) {
    switch (format) {
        case ShardFormat::kLlmcUint16:
            return "llm.c uint16";
        case ShardFormat::kLlmcUint32:
            return "llm.c uint32";
        case ShardFormat::kRawUint16:
            return "raw uint16";
    }
    return "unknown";
}

Result<TokenShard> TokenShard::open(fs::FileSystem& file_system, const std::string& path) {
    Result<std::unique_ptr<fs::Mapping>> mapping = file_system.map(path);
    if (!mapping.ok()) {
        return mapping.error();
    }
    const Result<ShardShape> shape = shape_of(mapping.value()->bytes(), path);
    if (!shape.ok()) {
        return shape.error();
    }
    return TokenShard(
        path, std::move(mapping).value(), shape.value().format, shape.value().token_count);
}

TokenShard::TokenShard(std::string path,
                       std::unique_ptr<fs::Mapping> mapping,
                       ShardFormat format,
                       std::int64_t token_count)
    : path_(std::move(path)),
      mapping_(std::move(mapping)),
      format_(format),
      token_count_(token_count) {}

std::span<const std::byte> TokenShard::token_bytes() const {
    return mapping_->bytes().subspan(format_ == ShardFormat::kRawUint16 ? 0 : kHeaderBytes);
}

std::int32_t TokenShard::token(std::int64_t index) const {
    std::int32_t value = 0;
    copy(index, std::span(&value, 1));
    return value;
}

void TokenShard::copy(std::int64_t begin, std::span<std::int32_t> out) const {
    const auto count = static_cast<std::int64_t>(out.size());
    HF_CHECK(begin >= 0 && count <= token_count_ - begin,
             "tokens [{}, {}) of a shard of {}",
             begin,
             begin + count,
             token_count_);
    const std::size_t width = token_width(format_);
    const auto bytes =
        token_bytes().subspan(static_cast<std::size_t>(begin) * width, out.size() * width);
    if (format_ == ShardFormat::kLlmcUint32) {
        std::memcpy(out.data(), bytes.data(), bytes.size());
        return;
    }
    for (std::size_t i = 0; i < out.size(); ++i) {
        out[i] = read_at<std::uint16_t>(bytes, i * 2);
    }
}

Status TokenShard::check_tokens(std::int64_t vocab_size,
                                std::optional<std::uint64_t> file_checksum_expected) const {
    HF_CHECK(vocab_size >= 1 && vocab_size <= std::numeric_limits<std::int32_t>::max(),
             "vocab_size {}",
             vocab_size);
    const auto limit = static_cast<std::uint64_t>(vocab_size);
    const std::size_t width = token_width(format_);
    const std::span<const std::byte> bytes = token_bytes();
    base::StreamingChecksum checksum;
    checksum.update(mapping_->bytes().first(mapping_->bytes().size() - bytes.size()));
    for (std::size_t offset = 0; offset < bytes.size(); offset += kCheckBlockBytes) {
        const auto block = bytes.subspan(offset, std::min(kCheckBlockBytes, bytes.size() - offset));
        const std::size_t index = width == 2 ? first_not_below<std::uint16_t>(block, limit)
                                             : first_not_below<std::uint32_t>(block, limit);
        if (index < block.size() / width) {
            const std::size_t position = offset / width + index;
            const auto value =
                static_cast<std::uint32_t>(token(static_cast<std::int64_t>(position)));
            return Error{ErrorKind::kInvalid,
                         fmt::format("{} has token {} at position {}; the vocabulary has {} (0 to "
                                     "{}): the data is of another tokenizer or damaged, check "
                                     "data.tokenizer and model.vocab_size",
                                     path_,
                                     value,
                                     position,
                                     vocab_size,
                                     vocab_size - 1),
                         0};
        }
        if (file_checksum_expected.has_value()) {
            checksum.update(block);
        }
    }
    if (file_checksum_expected.has_value() && checksum.digest64() != *file_checksum_expected) {
        return Error{ErrorKind::kCorrupt,
                     fmt::format("{} has checksum {}, its dataset.json says {}: the shard is "
                                 "damaged, prepare or copy it again",
                                 path_,
                                 base::to_hex(checksum.digest64()),
                                 base::to_hex(*file_checksum_expected)),
                     0};
    }
    return Status{};
}

std::uint64_t TokenShard::sampled_checksum() const {
    const std::span<const std::byte> bytes = token_bytes();
    const std::array<std::uint64_t, 2> sizes = {static_cast<std::uint64_t>(token_count_),
                                                file_bytes()};
    base::StreamingChecksum checksum;
    checksum.update(std::as_bytes(std::span(sizes)));
    checksum.update(mapping_->bytes().first(mapping_->bytes().size() - bytes.size()));
    if (bytes.size() <= kSampledBlocks * kSampleBlockBytes) {
        checksum.update(bytes);
        return checksum.digest64();
    }
    const std::uint64_t last_start = bytes.size() - kSampleBlockBytes;
    for (std::uint64_t i = 0; i < kSampledBlocks; ++i) {
        checksum.update(bytes.subspan(last_start * i / (kSampledBlocks - 1), kSampleBlockBytes));
    }
    return checksum.digest64();
}

}  // namespace holdfast::data
