// Reads every byte of many entries and says of each whether it is what was written.
//
// Only reads and takes no lock, so it may run beside a trainer: an entry that is rotated away
// before all its files were open is told as gone, one that goes later is still read whole. Entries
// whose files are all the same inodes are read once. Blocks; makes threads of its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/catalog.h"
#include "fs/file_system.h"

namespace holdfast::checkpoint {

enum class Verdict {
    kSound,
    kDamaged,
    kUnreadable,   // the system refused, or a newer program wrote it: nothing is said of the bytes
    kRotatedAway,  // gone between the look at the directory and now
};

struct Verification {
    Verdict verdict = Verdict::kSound;
    std::string why;  // empty when sound
    // The entry (index) that was read in its place, being the same files.
    std::optional<std::size_t> same_files_as;
    std::uint64_t bytes_read = 0;
};

struct VerifyOptions {
    int thread_count = 4;
    // Told how many more bytes were read, by several threads at once.
    std::function<void(std::uint64_t)> on_bytes{};
};

// One answer an entry, in their order. The state that the scan gave an entry does not count: it is
// looked at anew.
std::vector<Verification> verify_entries(fs::FileSystem& file_system,
                                         std::span<const Entry> entries,
                                         const VerifyOptions& options);

// Bytes that verify_entries() will read, by the manifests.
std::uint64_t bytes_to_verify(fs::FileSystem& file_system, std::span<const Entry> entries);

}  // namespace holdfast::checkpoint
