#include "checkpoint/store_bench.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

#include <fmt/format.h>

#include "base/clock.h"
#include "base/words.h"
#include "checkpoint/block_read.h"
#include "checkpoint/catalog.h"
#include "checkpoint/publish.h"
#include "checkpoint/reader.h"
#include "fs/durable_write.h"

namespace holdfast::checkpoint {

using base::Error;
using base::ErrorKind;
using base::Result;
using base::Status;

namespace {

constexpr std::string_view kRawName = "raw";
constexpr std::string_view kStoreName = "run";

std::uint64_t aligned_up(std::uint64_t bytes) {
    return (bytes + kDirectAlignment - 1) / kDirectAlignment * kDirectAlignment;
}

std::uint64_t bytes_of(std::span<const TensorSource> tensors) {
    std::uint64_t bytes = 0;
    for (const TensorSource& tensor : tensors) {
        bytes += tensor.bytes.size();
    }
    return bytes;
}

// Seconds of `work`, or its error.
template <typename Work>
Result<double> timed(Work work) {
    const double begin_seconds = base::monotonic_seconds();
    const Status done = work();
    const double seconds = base::monotonic_seconds() - begin_seconds;
    return done.ok() ? Result<double>(seconds) : Result<double>(done.error());
}

// Takes and gives back as much memory as is about to be taken. Where a machine is virtual, pages
// that were free for a while are its host's to find again: that time, seconds a GiB, is of neither
// a read nor a load, and would fall to whichever comes first.
void find_memory(std::uint64_t bytes) {
    const AlignedBuffer memory(bytes);
    // Volatile: a store to memory that is freed next would be left out.
    volatile std::byte* const begin = memory.bytes().data();
    for (std::uint64_t at = 0; at < bytes; at += kDirectAlignment) {
        begin[at] = std::byte{1};
    }
}

}  // namespace

StoreBench::StoreBench(fs::FileSystem& file_system,
                       std::string directory,
                       std::vector<TensorSource> model,
                       std::vector<TensorSource> optimizer)
    : file_system_(file_system),
      directory_(std::move(directory)),
      model_(std::move(model)),
      optimizer_(std::move(optimizer)) {}

StoreBench::~StoreBench() {
    // Best effort, also without memory: who must know calls remove().
    try {
        static_cast<void>(remove().ok());
    } catch (const std::bad_alloc&) {
        return;
    }
}

Status StoreBench::remove() {
    return remove_tree(file_system_, directory_);
}

std::uint64_t StoreBench::state_bytes() const {
    return bytes_of(model_) + bytes_of(optimizer_);
}

std::uint64_t StoreBench::disk_bytes_needed(std::uint64_t state_bytes) {
    // The raw file, one checkpoint, and headers, manifests and folders.
    return 2 * state_bytes + 4 * kSpaceMarginBytes;
}

Result<std::unique_ptr<StoreBench>> StoreBench::open(fs::FileSystem& file_system,
                                                     const std::string& parent,
                                                     std::vector<TensorSource> model,
                                                     std::vector<TensorSource> optimizer) {
    const Result<fs::SpaceStatus> space = file_system.space(parent);
    if (!space.ok()) {
        return space.error();
    }
    const std::uint64_t needed = disk_bytes_needed(bytes_of(model) + bytes_of(optimizer));
    if (space.value().available_bytes < needed) {
        return Error{ErrorKind::kNoSpace,
                     fmt::format("the measurement needs {} in {}, {} is free: measure fewer bytes, "
                                 "or elsewhere",
                                 base::bytes_in_words(needed),
                                 parent,
                                 base::bytes_in_words(space.value().available_bytes)),
                     ENOSPC};
    }
    std::string directory = fs::join(parent, ".holdfast-bench-" + make_save_id());
    if (Status made = file_system.make_directory(directory); !made.ok()) {
        return made.error();
    }
    std::unique_ptr<StoreBench> bench(
        new StoreBench(file_system, std::move(directory), std::move(model), std::move(optimizer)));
    if (Status opened = bench->open_store(); !opened.ok()) {
        return opened.error();
    }
    return bench;
}

Status StoreBench::open_store() {
    OpenRunOptions options;
    options.resume.kind = ResumeKind::kNever;
    options.directory = fs::join(directory_, std::string(kStoreName));
    options.identity.data_fingerprint = "bench";
    options.differences = [](const RunIdentity& /*stored*/) { return std::vector<std::string>{}; };
    options.now_utc_seconds = base::utc_seconds_now();
    Result<OpenedRun> opened = open_run(file_system_, options, buffers_);
    if (!opened.ok()) {
        return opened.error();
    }
    store_ = std::move(opened).value();
    return Status{};
}

Result<double> StoreBench::write_raw_once(bool direct) {
    const std::string path = fs::join(directory_, std::string(kRawName));
    const Status removed = file_system_.remove_file(path);
    if (!removed.ok() && removed.error().kind != ErrorKind::kNotFound) {
        return removed.error();
    }
    return timed([&]() -> Status {
        auto file = file_system_.open(path, {.mode = fs::OpenMode::kCreateNew, .direct = direct});
        if (!file.ok()) {
            return file.error();
        }
        const std::uint64_t bytes = aligned_up(state_bytes());
        const Status reserved = file.value()->reserve(bytes);
        if (!reserved.ok() && reserved.error().kind != ErrorKind::kInvalid) {
            return reserved;
        }
        for (std::uint64_t offset = 0; offset < bytes; offset += kChunkBytes) {
            const Status written = fs::write_all(
                *file.value(), buffers_[0].first(std::min(kChunkBytes, bytes - offset)), offset);
            if (!written.ok()) {
                return written;
            }
        }
        const Status synced = file.value()->sync();
        return synced.ok() ? file.value()->close() : synced;
    });
}

Result<double> StoreBench::write_raw() {
    Result<double> seconds = write_raw_once(direct_);
    if (!seconds.ok() && seconds.error().os_errno == EINVAL && direct_) {
        direct_ = false;
        seconds = write_raw_once(false);
    }
    return seconds;
}

Result<std::unique_ptr<fs::File>> StoreBench::open_for_reading(const std::string& path,
                                                               ReadFrom from) {
    const bool past_cache = from == ReadFrom::kDevice;
    auto file = file_system_.open(path, {.direct = direct_ && past_cache});
    if (file.ok() && past_cache && !direct_) {
        // A hint, as in ChunkFile.
        static_cast<void>(file.value()->drop_cache().ok());
    }
    return file;
}

Result<double> StoreBench::read_raw() {
    return timed([&]() -> Status {
        const auto file =
            open_for_reading(fs::join(directory_, std::string(kRawName)), ReadFrom::kDevice);
        if (!file.ok()) {
            return file.error();
        }
        const std::uint64_t bytes = aligned_up(state_bytes());
        std::vector<Block> blocks;
        for (std::uint64_t offset = 0; offset < bytes; offset += kChunkBytes) {
            blocks.push_back({file.value().get(),
                              offset,
                              buffers_[0].first(std::min(kChunkBytes, bytes - offset))});
        }
        return read_blocks(blocks, 1);
    });
}

Result<BenchedSave> StoreBench::save() {
    if (saved_) {
        if (Status removed = remove_tree(file_system_, saved_->path); !removed.ok()) {
            return removed.error();
        }
        saved_.reset();
    }
    Manifest manifest;
    manifest.run_id = store_->run.identity().run_id;
    manifest.identity.save_id = make_save_id();
    manifest.created_utc_seconds = base::utc_seconds_now();
    manifest.data_fingerprint = store_->run.identity().data_fingerprint;
    BenchedSave times;
    const Result<double> whole = timed([&]() -> Status {
        Result<PendingSave> pending =
            store_->run.begin_save(manifest.identity.save_id, state_bytes(), buffers_);
        if (!pending.ok()) {
            return pending.error();
        }
        Status status = pending.value().add(kModelFileName, model_);
        if (status.ok()) {
            status = pending.value().add(optimizer_file_name(1, 1), optimizer_);
        }
        if (status.ok()) {
            status = pending.value().seal(manifest);
        }
        if (!status.ok()) {
            return status;
        }
        times.files = pending.value().seconds();
        const double sealed_seconds = base::monotonic_seconds();
        Result<PublishedCheckpoint> published =
            store_->run.publish(std::move(pending).value(), Pool::kRolling, buffers_);
        if (!published.ok()) {
            return published.error();
        }
        times.publish_seconds = base::monotonic_seconds() - sealed_seconds;
        saved_ = std::move(published).value();
        return Status{};
    });
    if (!whole.ok()) {
        return whole.error();
    }
    times.whole_seconds = whole.value();
    return times;
}

Result<double> StoreBench::read_plain(ReadFrom from, int thread_count) {
    std::uint64_t bytes = 0;
    for (const FileRecord& record : saved_->manifest.files) {
        bytes += aligned_up(record.bytes);
    }
    find_memory(bytes);
    return timed([&]() -> Status {
        const AlignedBuffer memory(bytes);
        std::vector<std::unique_ptr<fs::File>> files;
        std::vector<Block> blocks;
        std::uint64_t begin = 0;
        for (const FileRecord& record : saved_->manifest.files) {
            auto file = open_for_reading(fs::join(saved_->path, record.name), from);
            if (!file.ok()) {
                return file.error();
            }
            add_blocks(
                *file.value(), memory.bytes().subspan(begin, aligned_up(record.bytes)), blocks);
            begin += aligned_up(record.bytes);
            files.push_back(std::move(file).value());
        }
        return read_blocks(blocks, thread_count);
    });
}

Result<double> StoreBench::load(ReadFrom from, int thread_count) {
    std::vector<TensorSource> sources = model_;
    sources.insert(sources.end(), optimizer_.begin(), optimizer_.end());
    std::optional<AlignedBuffer> memory;
    std::vector<TensorTarget> targets;
    find_memory(state_bytes());
    const Result<double> seconds = timed([&]() -> Status {
        memory.emplace(aligned_up(state_bytes()));
        std::uint64_t begin = 0;
        for (const TensorSource& source : sources) {
            targets.push_back({.info = source.info,
                               .bytes = memory->bytes().subspan(begin, source.bytes.size())});
            begin += source.bytes.size();
        }
        Result<Reader> reader = Reader::open(file_system_, saved_->path);
        if (!reader.ok()) {
            return reader.error();
        }
        return reader.value().load(
            targets,
            Unrequested::kRefuse,
            {.thread_count = thread_count, .from_device = from == ReadFrom::kDevice});
    });
    for (std::size_t i = 0; seconds.ok() && i < sources.size(); ++i) {
        if (std::memcmp(
                targets[i].bytes.data(), sources[i].bytes.data(), sources[i].bytes.size()) != 0) {
            return Error{ErrorKind::kCorrupt,
                         fmt::format("tensor {} came back other than it was saved to {}",
                                     sources[i].info.name,
                                     saved_->path),
                         0};
        }
    }
    return seconds;
}

Status StoreBench::make_entry(const Manifest& manifest) {
    const std::string path =
        fs::join(store_->run.paths().pool(Pool::kRolling),
                 to_string(name_in_pool(Pool::kRolling, manifest.identity.step, 0, 1, 0)));
    Status status = file_system_.make_directory(path);
    for (std::size_t i = 0; status.ok() && i < manifest.files.size(); ++i) {
        status = file_system_.hard_link(fs::join(saved_->path, manifest.files[i].name),
                                        fs::join(path, manifest.files[i].name));
    }
    if (!status.ok()) {
        return status;
    }
    const Result<std::string> text = print_manifest(manifest);
    if (!text.ok()) {
        return text.error();
    }
    auto file = file_system_.open(fs::join(path, std::string(kManifestName)),
                                  {.mode = fs::OpenMode::kCreateNew});
    return file.ok() ? fs::write_all(*file.value(), std::as_bytes(std::span(text.value())), 0)
                     : Status(file.error());
}

Result<double> StoreBench::scan(int count) {
    Manifest manifest = saved_->manifest;
    for (manifest.identity.step = 1; manifest.identity.step < count; ++manifest.identity.step) {
        manifest.identity.save_id = make_save_id();
        if (Status made = make_entry(manifest); !made.ok()) {
            return made.error();
        }
    }
    return timed([&]() -> Status {
        const Catalog catalog = store_->run.scan();
        const auto usable = std::count_if(catalog.entries.begin(),
                                          catalog.entries.end(),
                                          [](const Entry& entry) { return entry.usable(); });
        return usable == count ? Status{}
                               : Status(Error{ErrorKind::kCorrupt,
                                              fmt::format("{} of {} checkpoints were found in {}",
                                                          usable,
                                                          count,
                                                          store_->run.paths().directory),
                                              0});
    });
}

}  // namespace holdfast::checkpoint
