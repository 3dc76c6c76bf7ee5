#include "checkpoint/content_hash.h"

#include <algorithm>
#include <array>
#include <vector>

#include "base/check.h"

namespace holdfast::checkpoint {

using base::Result;
using base::Status;

void ContentHasher::add_number(std::uint64_t number) {
    std::array<std::byte, 8> word{};
    for (std::size_t i = 0; i < word.size(); ++i) {
        word[i] = static_cast<std::byte>(number >> (8 * i) & 0xFFU);
    }
    hash_.update(word);
}

void ContentHasher::add_text(std::string_view text) {
    add_number(text.size());
    hash_.update(text);
}

void ContentHasher::check_complete() const {
    HF_CHECK(bytes_left_ == 0, "{} bytes of {} were not hashed", bytes_left_, last_name_);
}

void ContentHasher::begin_tensor(const TensorInfo& info) {
    check_complete();
    HF_CHECK(!any_ || last_name_ < info.name, "{} comes after {}", info.name, last_name_);
    any_ = true;
    last_name_ = info.name;
    bytes_left_ = tensor_bytes(info).value();
    add_text(info.name);
    add_text(info.dtype);
    add_number(info.shape.size());
    for (const std::int64_t size : info.shape) {
        add_number(static_cast<std::uint64_t>(size));
    }
}

void ContentHasher::add_bytes(std::span<const std::byte> bytes) {
    HF_CHECK(bytes.size() <= bytes_left_, "more bytes than {} has", last_name_);
    bytes_left_ -= bytes.size();
    hash_.update(bytes);
}

base::Hash128 ContentHasher::finish(const Manifest& manifest) {
    check_complete();
    add_number(static_cast<std::uint64_t>(manifest.identity.step));
    add_text(manifest.phase);
    add_number(static_cast<std::uint64_t>(manifest.cursor.epoch));
    add_number(static_cast<std::uint64_t>(manifest.cursor.sample));
    add_number(static_cast<std::uint64_t>(manifest.tokens));
    add_number(manifest.seed);
    add_number(static_cast<std::uint64_t>(manifest.lanes));
    return hash_.digest128();
}

Result<base::Hash128> content_hash(Reader& reader) {
    if (const Status sound = reader.verify(); !sound.ok()) {
        return sound.error();
    }
    ContentHasher hasher;
    std::vector<std::byte> buffer(std::size_t{4} << 20U);
    for (const LogicalTensor& tensor : reader.tensors()) {
        hasher.begin_tensor(tensor.info);
        const std::uint64_t size = dtype_bytes(tensor.info.dtype).value();
        for (const TensorPiece& piece : tensor.pieces) {
            std::uint64_t offset = piece.file_begin;
            std::uint64_t left = (piece.element_end - piece.element_begin) * size;
            while (left > 0) {
                const std::span part =
                    std::span(buffer).first(std::min<std::uint64_t>(left, buffer.size()));
                const Status read = reader.read_unverified(piece.file_index, offset, part);
                if (!read.ok()) {
                    return read.error();
                }
                hasher.add_bytes(part);
                offset += part.size();
                left -= part.size();
            }
        }
    }
    return hasher.finish(reader.manifest());
}

}  // namespace holdfast::checkpoint
