#include "checkpoint/reader.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "checkpoint/catalog.h"
#include "checkpoint/chunk_file.h"
#include "checkpoint/transfer_buffers.h"
#include "fs/durable_write.h"

namespace holdfast::checkpoint {

using base::Error;
using base::ErrorKind;
using base::Result;
using base::Status;

namespace {

constexpr std::string_view kTensorFileEnding = ".safetensors";

// A stretch of a file that goes to a stretch of the caller's memory.
struct Destination {
    std::uint64_t file_begin = 0;
    std::span<std::byte> bytes;
};

struct ChunkJob {
    const ChunkFile* file = nullptr;
    std::uint64_t offset = 0;
    ChunkRecord chunk;
    const std::vector<Destination>* destinations = nullptr;  // by file_begin
};

// For std::upper_bound: the first that holds `position`, or begins after it.
bool ends_after(std::uint64_t position, const Destination& to) {
    return position < to.file_begin + to.bytes.size();
}

void scatter(std::span<const std::byte> bytes,
             std::uint64_t offset,
             const std::vector<Destination>& destinations) {
    const std::uint64_t end = offset + bytes.size();
    for (auto to = std::upper_bound(destinations.begin(), destinations.end(), offset, ends_after);
         to != destinations.end() && to->file_begin < end;
         ++to) {
        const std::uint64_t from = std::max(offset, to->file_begin);
        const std::uint64_t until = std::min(end, to->file_begin + to->bytes.size());
        std::memcpy(to->bytes.data() + (from - to->file_begin),
                    bytes.data() + (from - offset),
                    until - from);
    }
}

// Where the bytes of a chunk go, in order; those that nobody asked for go to `spare`.
std::vector<std::span<std::byte>> parts_of(const ChunkJob& job, std::span<std::byte> spare) {
    std::vector<std::span<std::byte>> parts;
    std::uint64_t at = job.offset;
    const std::uint64_t end = job.offset + job.chunk.bytes;
    while (at < end) {
        const auto to =
            std::upper_bound(job.destinations->begin(), job.destinations->end(), at, ends_after);
        const bool wanted = to != job.destinations->end() && to->file_begin <= at;
        const std::uint64_t until = wanted ? to->file_begin + to->bytes.size()
                                           : (to == job.destinations->end() ? end : to->file_begin);
        const std::uint64_t bytes = std::min(until, end) - at;
        parts.push_back(wanted ? to->bytes.subspan(at - to->file_begin, bytes)
                               : spare.first(bytes));
        at += bytes;
    }
    return parts;
}

// Whether a byte of [begin, end) goes anywhere.
bool holds_any(std::uint64_t begin,
               std::uint64_t end,
               const std::vector<Destination>& destinations) {
    const auto to = std::upper_bound(destinations.begin(), destinations.end(), begin, ends_after);
    return to != destinations.end() && to->file_begin < end;
}

// From the page cache straight to its place, compared there and cleared when it is wrong; from the
// device through the buffer.
Status run_job(const ChunkJob& job, std::span<std::byte> buffer) {
    if (job.destinations != nullptr && job.file->source() == Readback::kCache) {
        return job.file->read_verified_into(job.offset, job.chunk, parts_of(job, buffer));
    }
    const auto bytes = job.file->read_verified(job.offset, job.chunk, buffer);
    if (!bytes.ok()) {
        return bytes.error();
    }
    if (job.destinations != nullptr) {
        scatter(bytes.value(), job.offset, *job.destinations);
    }
    return Status{};
}

// The first error stops all threads.
Status run_jobs(const std::vector<ChunkJob>& jobs,
                int thread_count,
                const std::function<void(std::uint64_t)>& on_bytes = {}) {
    std::atomic<std::size_t> next{0};
    std::mutex mutex;
    std::optional<Error> first_error;
    const auto work = [&] {
        const AlignedBuffer buffer(TransferBuffers::kBufferBytes);
        for (std::size_t i = next++; i < jobs.size(); i = next++) {
            const Status done = run_job(jobs[i], buffer.bytes());
            if (!done.ok()) {
                const std::scoped_lock lock(mutex);
                if (!first_error) {
                    first_error = done.error();
                }
                next = jobs.size();
                return;
            }
            if (on_bytes) {
                on_bytes(jobs[i].chunk.bytes);
            }
        }
    };
    const auto count = std::min<std::size_t>(static_cast<std::size_t>(std::max(thread_count, 1)),
                                             std::max<std::size_t>(jobs.size(), 1));
    {
        std::vector<std::jthread> threads;
        for (std::size_t i = 1; i < count; ++i) {
            threads.emplace_back(work);
        }
        work();
    }
    return first_error ? Status(*first_error) : Status{};
}

void add_jobs(const ChunkFile& file,
              const FileRecord& record,
              const std::vector<Destination>* destinations,
              ReadScope scope,
              std::vector<ChunkJob>& jobs) {
    std::uint64_t offset = 0;
    for (const ChunkRecord& chunk : record.chunks) {
        if (scope == ReadScope::kWholeFiles ||
            holds_any(offset, offset + chunk.bytes, *destinations)) {
            jobs.push_back(ChunkJob{&file, offset, chunk, destinations});
        }
        offset += chunk.bytes;
    }
}

// The header of a tensor file, from chunks whose checksums matched.
Result<SafetensorsHeader> read_verified_header(const ChunkFile& file,
                                               const FileRecord& record,
                                               std::span<std::byte> buffer) {
    std::string text;
    std::uint64_t needed = 8;
    std::uint64_t offset = 0;
    for (const ChunkRecord& chunk : record.chunks) {
        const auto bytes = file.read_verified(offset, chunk, buffer);
        if (!bytes.ok()) {
            return bytes.error();
        }
        const bool is_first = text.size() < 8;
        offset += chunk.bytes;
        const auto* chars = reinterpret_cast<const char*>(bytes.value().data());
        text.append(chars, bytes.value().size());
        if (is_first && text.size() >= 8) {
            const Result<std::uint64_t> length =
                parse_safetensors_length(std::as_bytes(std::span(text)), record.bytes);
            if (!length.ok()) {
                return length.error().within(file.path());
            }
            needed = 8 + length.value();
        }
        if (text.size() >= needed && needed > 8) {
            break;
        }
    }
    if (text.size() < needed || needed == 8) {
        return Error{ErrorKind::kCorrupt, fmt::format("{} is too short", file.path()), 0};
    }
    Result<SafetensorsHeader> header =
        parse_safetensors_header(std::string_view(text).substr(8, needed - 8), record.bytes);
    if (!header.ok()) {
        return header.error().within(file.path());
    }
    return header;
}

Error mismatch(const Manifest& manifest, const std::string& what) {
    return Error{
        ErrorKind::kInvalid,
        fmt::format("the checkpoint of step {} does not fit: {}", manifest.identity.step, what),
        0};
}

std::string describe(const TensorInfo& info) {
    return fmt::format("{} [{}]", info.dtype, fmt::join(info.shape, ", "));
}

}  // namespace

struct Reader::State {
    fs::FileSystem& file_system;
    std::string path;
    Manifest manifest;
    std::vector<ChunkFile> files;
    std::vector<LogicalTensor> tensors;

    Status plan(std::span<const TensorTarget> targets,
                Unrequested unrequested,
                std::vector<std::vector<Destination>>& by_file) const;
    Status add_target(const TensorTarget& target,
                      const LogicalTensor& tensor,
                      std::vector<std::vector<Destination>>& by_file) const;
};

Reader::Reader(std::unique_ptr<State> state) : state_(std::move(state)) {}
Reader::Reader(Reader&&) noexcept = default;
Reader& Reader::operator=(Reader&&) noexcept = default;
Reader::~Reader() = default;

const Manifest& Reader::manifest() const {
    return state_->manifest;
}
const std::string& Reader::path() const {
    return state_->path;
}
const std::vector<LogicalTensor>& Reader::tensors() const {
    return state_->tensors;
}

Result<Reader> Reader::open(fs::FileSystem& file_system, const std::string& path) {
    const Result<Entry> entry = scan_entry(file_system, path, Pool::kRolling, {});
    if (!entry.ok()) {
        return entry.error();
    }
    if (!entry.value().usable()) {
        const bool damaged = entry.value().state == EntryState::kDamaged;
        return Error{damaged ? ErrorKind::kCorrupt : ErrorKind::kIo,
                     fmt::format("{} {}", path, entry.value().why),
                     0};
    }
    auto state = std::unique_ptr<State>(new State{.file_system = file_system,
                                                  .path = path,
                                                  .manifest = entry.value().manifest,
                                                  .files = {},
                                                  .tensors = {}});
    for (const FileRecord& record : state->manifest.files) {
        Result<ChunkFile> file = ChunkFile::open(file_system, fs::join(path, record.name), false);
        if (!file.ok() && file.error().kind == ErrorKind::kNotFound) {
            return Error{ErrorKind::kNotFound,
                         fmt::format("{} was rotated away while it was opened", path),
                         0};
        }
        if (!file.ok()) {
            return file.error();
        }
        state->files.push_back(std::move(file).value());
    }
    // One header a file, so that a piece's file_index is the manifest's; other files hold no
    // tensors.
    std::vector<SafetensorsHeader> headers;
    const AlignedBuffer buffer(TransferBuffers::kBufferBytes);
    for (std::size_t i = 0; i < state->files.size(); ++i) {
        if (!state->manifest.files[i].name.ends_with(kTensorFileEnding)) {
            headers.emplace_back();
            continue;
        }
        Result<SafetensorsHeader> header =
            read_verified_header(state->files[i], state->manifest.files[i], buffer.bytes());
        if (!header.ok()) {
            return header.error();
        }
        headers.push_back(std::move(header).value());
    }
    Result<std::vector<LogicalTensor>> tensors = map_tensors(headers);
    if (!tensors.ok()) {
        return tensors.error().within(path);
    }
    state->tensors = std::move(tensors).value();
    return Reader(std::move(state));
}

Status Reader::State::add_target(const TensorTarget& target,
                                 const LogicalTensor& tensor,
                                 std::vector<std::vector<Destination>>& by_file) const {
    if (tensor.info != target.info) {
        return mismatch(manifest,
                        fmt::format("tensor {} is {}, {} was expected",
                                    target.info.name,
                                    describe(tensor.info),
                                    describe(target.info)));
    }
    const std::uint64_t elements = tensor_elements(tensor.info.shape).value_or(0);
    const std::uint64_t size = dtype_bytes(tensor.info.dtype).value_or(1);
    const std::uint64_t end = target.element_end == UINT64_MAX ? elements : target.element_end;
    if (target.element_begin > end || end > elements ||
        target.bytes.size() != (end - target.element_begin) * size) {
        return mismatch(manifest,
                        fmt::format("elements {} to {} of {} do not go into {} bytes",
                                    target.element_begin,
                                    end,
                                    target.info.name,
                                    target.bytes.size()));
    }
    for (const TensorPiece& piece : tensor.pieces) {
        const std::uint64_t from = std::max(piece.element_begin, target.element_begin);
        const std::uint64_t until = std::min(piece.element_end, end);
        if (from < until) {
            by_file[piece.file_index].push_back(Destination{
                piece.file_begin + (from - piece.element_begin) * size,
                target.bytes.subspan((from - target.element_begin) * size, (until - from) * size)});
        }
    }
    return Status{};
}

Status Reader::State::plan(std::span<const TensorTarget> targets,
                           Unrequested unrequested,
                           std::vector<std::vector<Destination>>& by_file) const {
    std::vector<bool> requested(tensors.size(), false);
    for (const TensorTarget& target : targets) {
        const LogicalTensor* tensor = find_tensor(tensors, target.info.name);
        if (tensor == nullptr) {
            return mismatch(manifest, fmt::format("it has no tensor {}", target.info.name));
        }
        requested[static_cast<std::size_t>(tensor - tensors.data())] = true;
        if (Status added = add_target(target, *tensor, by_file); !added.ok()) {
            return added;
        }
    }
    const auto missed = std::find(requested.begin(), requested.end(), false);
    if (unrequested == Unrequested::kRefuse && missed != requested.end()) {
        const auto& info = tensors[static_cast<std::size_t>(missed - requested.begin())].info;
        return mismatch(manifest, fmt::format("nothing here takes its tensor {}", info.name));
    }
    for (std::vector<Destination>& destinations : by_file) {
        std::sort(destinations.begin(), destinations.end(), [](const auto& a, const auto& b) {
            return a.file_begin < b.file_begin;
        });
        const auto twice = std::adjacent_find(
            destinations.begin(), destinations.end(), [](const auto& a, const auto& b) {
                return b.file_begin < a.file_begin + a.bytes.size();
            });
        if (twice != destinations.end()) {
            return mismatch(manifest, "some of its bytes are asked for twice");
        }
    }
    return Status{};
}

Status Reader::load(std::span<const TensorTarget> targets,
                    Unrequested unrequested,
                    const ReadOptions& options) {
    std::vector<std::vector<Destination>> by_file(state_->files.size());
    if (Status planned = state_->plan(targets, unrequested, by_file); !planned.ok()) {
        return planned;
    }
    std::vector<ChunkFile> direct;
    std::vector<ChunkJob> jobs;
    direct.reserve(state_->files.size());
    for (std::size_t i = 0; i < state_->files.size(); ++i) {
        const bool is_whole =
            unrequested == Unrequested::kRefuse && options.scope == ReadScope::kWholeFiles;
        if (by_file[i].empty() && !is_whole) {
            continue;
        }
        const ChunkFile* file = &state_->files[i];
        if (options.from_device) {
            Result<ChunkFile> opened = ChunkFile::open(state_->file_system, file->path(), true);
            // Gone meanwhile: what is open already still reads.
            if (opened.ok()) {
                direct.push_back(std::move(opened).value());
                file = &direct.back();
            }
        }
        add_jobs(*file, state_->manifest.files[i], &by_file[i], options.scope, jobs);
    }
    return run_jobs(jobs, options.thread_count);
}

Status Reader::verify(int thread_count, const std::function<void(std::uint64_t)>& on_bytes) {
    std::vector<ChunkFile> direct;
    std::vector<ChunkJob> jobs;
    direct.reserve(state_->files.size());
    for (std::size_t i = 0; i < state_->files.size(); ++i) {
        Result<ChunkFile> opened =
            ChunkFile::open(state_->file_system, state_->files[i].path(), true);
        const ChunkFile* file = &state_->files[i];
        if (opened.ok()) {
            direct.push_back(std::move(opened).value());
            file = &direct.back();
        }
        add_jobs(*file, state_->manifest.files[i], nullptr, ReadScope::kWholeFiles, jobs);
    }
    return run_jobs(jobs, thread_count, on_bytes);
}

Status Reader::read_unverified(std::size_t file_index,
                               std::uint64_t offset,
                               std::span<std::byte> buffer) {
    const ChunkFile& file = state_->files.at(file_index);
    return fs::read_exactly(file.file(), buffer, offset, file.path());
}

}  // namespace holdfast::checkpoint
