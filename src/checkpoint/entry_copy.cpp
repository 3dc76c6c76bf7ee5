#include "checkpoint/entry_copy.h"

#include <array>
#include <cerrno>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/words.h"
#include "checkpoint/chunk_file.h"
#include "checkpoint/pending_save.h"
#include "checkpoint/stream_writer.h"
#include "fs/durable_write.h"

namespace holdfast::checkpoint {

using base::Error;
using base::ErrorKind;
using base::Result;
using base::Status;

namespace {

// Errors that mean "not here", not "not now".
bool links_unsupported(int os_errno) {
    constexpr std::array kErrors{EXDEV, EPERM, EMLINK, EOPNOTSUPP, ENOSYS, EINVAL};
    for (const int error : kErrors) {
        if (error == os_errno) {
            return true;
        }
    }
    return false;
}

std::vector<std::string> all_names(const Manifest& manifest) {
    std::vector<std::string> names;
    for (const FileRecord& file : manifest.files) {
        names.push_back(file.name);
    }
    names.emplace_back(kManifestName);
    return names;
}

Status link_files(fs::FileSystem& file_system,
                  const std::string& source,
                  const std::string& target,
                  const Manifest& manifest) {
    for (const std::string& name : all_names(manifest)) {
        const Status linked = file_system.hard_link(fs::join(source, name), fs::join(target, name));
        if (!linked.ok()) {
            return linked;
        }
    }
    return Status{};
}

Status remove_links(fs::FileSystem& file_system,
                    const std::string& target,
                    const Manifest& manifest) {
    for (const std::string& name : all_names(manifest)) {
        const Status removed = file_system.remove_file(fs::join(target, name));
        if (!removed.ok() && removed.error().kind != ErrorKind::kNotFound) {
            return removed;
        }
    }
    return Status{};
}

// Damaged and missing are words about the source alone.
Status of_target(const Status& status) {
    const bool is_ambiguous = !status.ok() && (status.error().kind == ErrorKind::kCorrupt ||
                                               status.error().kind == ErrorKind::kNotFound);
    return is_ambiguous ? Error{ErrorKind::kIo, status.error().what, status.error().os_errno}
                        : status;
}

// An entry held open: what happens to its names meanwhile does not matter.
struct OpenEntry {
    std::string manifest_text;
    std::vector<ChunkFile> files;
};

Result<OpenEntry> open_entry(fs::FileSystem& file_system,
                             const std::string& source,
                             const Manifest& manifest) {
    Result<std::string> text =
        fs::read_file(file_system, fs::join(source, std::string(kManifestName)), kManifestBytesMax);
    if (!text.ok()) {
        return text.error();
    }
    const Result<Manifest> found = parse_manifest(text.value());
    if (!found.ok() || found.value() != manifest) {
        return Error{ErrorKind::kCorrupt,
                     fmt::format("the manifest of {} is not the one it was published with{}",
                                 source,
                                 found.ok() ? "" : ": " + found.error().what),
                     0};
    }
    OpenEntry entry{std::move(text).value(), {}};
    for (const FileRecord& record : manifest.files) {
        // Past the cache: what is copied is what the disk holds, and nothing else is pushed out.
        Result<ChunkFile> file = ChunkFile::open(file_system, fs::join(source, record.name), true);
        if (!file.ok()) {
            return file.error();
        }
        entry.files.push_back(std::move(file).value());
    }
    return entry;
}

// What copying needs besides the names.
struct CopyTools {
    fs::FileSystem& file_system;
    TransferBuffers& buffers;
    const GoOn& go_on;
    const std::function<void(std::uint64_t)>& on_bytes;
};

Result<Readback> copy_file(const CopyTools& tools,
                           const ChunkFile& from,
                           const FileRecord& record,
                           const std::string& target) {
    Status source_status;
    const auto produce = [&](StreamWriter& writer) {
        std::uint64_t offset = 0;
        for (const ChunkRecord& chunk : record.chunks) {
            source_status = tools.go_on ? tools.go_on() : Status{};
            if (!source_status.ok()) {
                return source_status;
            }
            const auto bytes = from.read_verified(offset, chunk, tools.buffers[0]);
            if (!bytes.ok()) {
                source_status = bytes.error();
                return source_status;
            }
            if (Status written = writer.append(bytes.value()); !written.ok()) {
                return written;
            }
            offset += chunk.bytes;
            if (tools.on_bytes) {
                tools.on_bytes(chunk.bytes);
            }
        }
        return Status{};
    };
    const Result<VerifiedFile> copy = write_verified_file(tools.file_system,
                                                          target,
                                                          record.name,
                                                          record.bytes,
                                                          tools.buffers,
                                                          produce,
                                                          BufferUse::kSecondOnly);
    if (!source_status.ok()) {
        return source_status.error();
    }
    return copy.ok() ? Result<Readback>(copy.value().readback) : of_target(copy.error()).error();
}

Status check_space(fs::FileSystem& file_system,
                   const std::string& source,
                   const std::string& target,
                   const Manifest& manifest) {
    const Result<fs::SpaceStatus> space = file_system.space(fs::parent_of(target));
    if (!space.ok()) {
        return of_target(space.error());
    }
    const std::uint64_t needed = manifest.files_bytes() + kSpaceMarginBytes;
    if (space.value().available_bytes < needed) {
        return Error{ErrorKind::kNoSpace,
                     fmt::format("a copy of {} needs {} in {}, {} is free",
                                 source,
                                 base::bytes_in_words(needed),
                                 fs::parent_of(target),
                                 base::bytes_in_words(space.value().available_bytes)),
                     ENOSPC};
    }
    return Status{};
}

}  // namespace

Result<Readback> copy_entry(fs::FileSystem& file_system,
                            const std::string& source,
                            const std::string& target,
                            const Manifest& manifest,
                            TransferBuffers& buffers,
                            const GoOn& go_on,
                            const std::function<void(std::uint64_t)>& on_bytes) {
    if (const Status room = check_space(file_system, source, target, manifest); !room.ok()) {
        return room.error();
    }
    const Result<OpenEntry> entry = open_entry(file_system, source, manifest);
    if (!entry.ok()) {
        return entry.error();
    }
    Readback readback = Readback::kDevice;
    const CopyTools tools{file_system, buffers, go_on, on_bytes};
    for (std::size_t i = 0; i < manifest.files.size(); ++i) {
        const Result<Readback> copied =
            copy_file(tools, entry.value().files[i], manifest.files[i], target);
        if (!copied.ok()) {
            return copied.error();
        }
        readback = copied.value() == Readback::kCache ? Readback::kCache : readback;
    }
    const std::string& text = entry.value().manifest_text;
    const Result<VerifiedFile> written = write_verified_file(
        file_system,
        target,
        std::string(kManifestName),
        text.size(),
        buffers,
        [&](StreamWriter& writer) { return writer.append(std::as_bytes(std::span(text))); },
        BufferUse::kSecondOnly);
    const Status ready =
        of_target(written.ok() ? file_system.sync_directory(target) : Status(written.error()));
    if (!ready.ok()) {
        return ready.error();
    }
    return written.value().readback == Readback::kCache ? Readback::kCache : readback;
}

Status fill_entry(fs::FileSystem& file_system,
                  const std::string& source,
                  const std::string& target,
                  const Manifest& manifest,
                  Sharing sharing,
                  TransferBuffers& buffers,
                  const GoOn& go_on) {
    Status filled;
    if (sharing == Sharing::kLinks) {
        filled = link_files(file_system, source, target, manifest);
        if (!filled.ok() && links_unsupported(filled.error().os_errno)) {
            const Status removed = remove_links(file_system, target, manifest);
            if (!removed.ok()) {
                return of_target(removed);
            }
            sharing = Sharing::kCopies;
        }
    }
    if (sharing == Sharing::kCopies) {
        const Result<Readback> copied =
            copy_entry(file_system, source, target, manifest, buffers, go_on);
        return copied.ok() ? Status{} : Status(copied.error());
    }
    return filled.ok() ? of_target(file_system.sync_directory(target)) : filled;
}

}  // namespace holdfast::checkpoint
