#include "tokenizer/byte_tokenizer.h"

#include <fmt/format.h>

#include "base/checksum.h"

namespace holdfast::tokenizer {

namespace {

constexpr std::uint32_t kEndOfText = 256;

void append_bytes(std::string_view text, std::vector<std::uint32_t>& out) {
    const std::size_t before = out.size();
    out.resize(before + text.size());
    for (std::size_t index = 0; index < text.size(); ++index) {
        out[before + index] = static_cast<std::uint8_t>(text[index]);
    }
}

class ByteEncoder final : public Encoder {
public:
    void encode_ordinary(std::string_view text, std::vector<std::uint32_t>& out) override {
        append_bytes(text, out);
    }
};

class ByteTokenizer final : public Tokenizer {
public:
    [[nodiscard]] std::string_view name() const override { return "bytes"; }
    [[nodiscard]] std::uint32_t vocab_size() const override { return kEndOfText + 1; }
    [[nodiscard]] std::uint32_t end_of_text() const override { return kEndOfText; }
    [[nodiscard]] std::uint64_t fingerprint() const override {
        return base::checksum64("bytes: id = byte, end of text = 256");
    }
    [[nodiscard]] std::unique_ptr<Encoder> make_encoder() const override {
        return std::make_unique<ByteEncoder>();
    }
    void encode_ordinary(std::string_view text, std::vector<std::uint32_t>& out) const override {
        append_bytes(text, out);
    }
    base::Status decode(std::span<const std::uint32_t> ids, std::string& out) const override {
        const std::size_t before = out.size();
        for (const std::uint32_t id : ids) {
            if (id > kEndOfText) {
                out.resize(before);
                return base::Error{
                    base::ErrorKind::kInvalid,
                    fmt::format("token {} is not one of the tokenizer bytes (0 .. 256)", id),
                    0};
            }
            if (id == kEndOfText) {
                out.append("<|endoftext|>");
            } else {
                out.push_back(static_cast<char>(id));
            }
        }
        return {};
    }
    [[nodiscard]] std::size_t last_cut(std::string_view text) const override { return text.size(); }
};

}  // namespace

std::unique_ptr<Tokenizer> make_byte_tokenizer() {
    return std::make_unique<ByteTokenizer>();
}

}  // namespace holdfast::tokenizer
