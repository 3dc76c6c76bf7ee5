// The hash of what a checkpoint means (`checkpoints hash`): equal for equal state, however it was
// cut into files, parts and fragments, whatever it is called and whenever it was made.
//
// XXH3-128 over, for each tensor sorted by name: name, dtype, shape, bytes; then step, phase,
// cursor (epoch, sample), tokens, seed, lanes. Texts are preceded by their length, numbers are
// 64-bit little-endian, shapes are preceded by their rank. Not in it: files, parts, ranks, lineage,
// ids, times, environment, config, evaluation results.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/checksum.h"
#include "base/result.h"
#include "checkpoint/manifest.h"
#include "checkpoint/reader.h"
#include "checkpoint/safetensors.h"

namespace holdfast::checkpoint {

// The same hash from memory: begin_tensor() for each tensor in ascending name order (HF_CHECK),
// add_bytes() until it is complete, finish() once.
class ContentHasher {
public:
    void begin_tensor(const TensorInfo& info);
    void add_bytes(std::span<const std::byte> bytes);
    // Of the manifest only the fields named above count.
    base::Hash128 finish(const Manifest& manifest);

private:
    void add_number(std::uint64_t number);
    void add_text(std::string_view text);
    void check_complete() const;

    base::StreamingChecksum hash_;
    std::string last_name_;
    std::uint64_t bytes_left_ = 0;
    bool any_ = false;
};

// Verifies every byte, then hashes. Errors as Reader. Blocks.
base::Result<base::Hash128> content_hash(Reader& reader);

}  // namespace holdfast::checkpoint
