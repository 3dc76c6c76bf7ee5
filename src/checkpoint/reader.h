// Reads a checkpoint; nothing is called read before its checksum matched.
//
// open() opens every file of the manifest before the first byte is believed, so an entry that is
// deleted meanwhile is still read whole. Errors: kNotFound "rotated away" when the entry vanished
// while it was opened; kCorrupt when a file is missing, extra, of another length or of other bytes
// than the manifest says; kIo when the system refused ("unreadable now": nothing is said about the
// bytes). Any thread, one at a time; load() and verify() use a few threads of their own and block.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "checkpoint/manifest.h"
#include "checkpoint/safetensors.h"
#include "checkpoint/tensor_map.h"
#include "fs/file_system.h"

namespace holdfast::checkpoint {

// Where the bytes of a tensor go. `info` must equal what is stored (whole shape, also for a
// fragmented tensor). A part of the tensor is asked for by its flat element range.
struct TensorTarget {
    TensorInfo info;
    std::span<std::byte> bytes;  // (element_end - element_begin) elements
    std::uint64_t element_begin = 0;
    std::uint64_t element_end = UINT64_MAX;  // UINT64_MAX: to the end
};

// What load() reads and compares with the manifest.
enum class ReadScope {
    kWholeFiles,   // all of each file that holds something asked for
    kAskedChunks,  // the chunks that do: for a rank that wants its ranges. Of each stretch of a
                   // file that is asked for, at most the rest of its first and of its last chunk
                   // besides
};

struct ReadOptions {
    int thread_count = 4;
    ReadScope scope = ReadScope::kWholeFiles;
    // Ask the device (O_DIRECT where it works, else DONTNEED), not the page cache.
    bool from_device = false;
};

enum class Unrequested {
    kRefuse,  // a tensor nobody asked for is kInvalid: a resume restores all or nothing. Who takes
              // no element of it asks for an empty range
    kSkip,    // files without a requested tensor are not read
};

class Reader {
public:
    // `path` is the entry's directory. Reads and verifies the manifest and the tensor headers.
    static base::Result<Reader> open(fs::FileSystem& file_system, const std::string& path);

    [[nodiscard]] const Manifest& manifest() const;
    [[nodiscard]] const std::string& path() const;
    // Sorted by name.
    [[nodiscard]] const std::vector<LogicalTensor>& tensors() const;

    // Fills every target; no byte of it is handed on unverified. kInvalid names the first
    // tensor that is missing, unrequested (kRefuse) or of another dtype or shape, or tells that two
    // targets ask for the same elements; nothing is written then. After any other error the targets
    // hold an unspecified mix of verified bytes, zeros and what was there before.
    base::Status load(std::span<const TensorTarget> targets,
                      Unrequested unrequested,
                      const ReadOptions& options = {});

    // Every byte of every file against the manifest, from the device. `on_bytes` is told how many
    // more were read, by several threads at once.
    base::Status verify(int thread_count = 4,
                        const std::function<void(std::uint64_t)>& on_bytes = {});

    // Sequential bytes of one file, not compared with anything: for what runs after verify().
    base::Status read_unverified(std::size_t file_index,
                                 std::uint64_t offset,
                                 std::span<std::byte> buffer);

    Reader(Reader&&) noexcept;
    Reader& operator=(Reader&&) noexcept;
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;
    ~Reader();

private:
    struct State;
    explicit Reader(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace holdfast::checkpoint
