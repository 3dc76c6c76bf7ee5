// A run directory with small checkpoints in it, made through the real code.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "checkpoint/ancestry.h"
#include "checkpoint/catalog.h"
#include "checkpoint/pending_save.h"
#include "checkpoint/reader.h"
#include "checkpoint/resume_load.h"
#include "checkpoint/run_directory.h"
#include "fs/fault_file_system.h"
#include "fs/real_file_system.h"
#include "fs/restarting_file_system.h"
#include "temporary_directory.h"

namespace holdfast::checkpoint {

// One set for the whole test program: 32 MiB that need not be touched anew a test.
inline TransferBuffers& shared_buffers() {
    static TransferBuffers buffers;
    return buffers;
}

// A model of two tensors whose values name the step, and an optimizer of one.
struct TinyState {
    std::vector<float> weight = std::vector<float>(96);
    std::vector<float> bias = std::vector<float>(5);
    std::vector<float> moment = std::vector<float>(101);

    static TinyState of_step(std::int64_t step) {
        TinyState state;
        float value = static_cast<float>(step) + 0.25F;
        for (auto* tensor : {&state.weight, &state.bias, &state.moment}) {
            for (float& x : *tensor) {
                x = value;
                value += 1.0F;
            }
        }
        return state;
    }
    bool operator==(const TinyState&) const = default;

    static TensorInfo weight_info() { return {"transformer.wte.weight", "F32", {12, 8}}; }
    static TensorInfo bias_info() { return {"transformer.ln_f.bias", "F32", {5}}; }
    static TensorInfo moment_info() { return {"optimizer.m", "F32", {101}}; }

    [[nodiscard]] std::vector<TensorSource> model_sources() const {
        return {{weight_info(), std::as_bytes(std::span(weight))},
                {bias_info(), std::as_bytes(std::span(bias))}};
    }
    [[nodiscard]] std::vector<TensorSource> optimizer_sources() const {
        return {{moment_info(), std::as_bytes(std::span(moment))}};
    }
    [[nodiscard]] std::vector<TensorTarget> targets() {
        return {{weight_info(), std::as_writable_bytes(std::span(weight))},
                {bias_info(), std::as_writable_bytes(std::span(bias))},
                {moment_info(), std::as_writable_bytes(std::span(moment))}};
    }
};

inline constexpr std::uint64_t kTinyBytes = 4 * 4096;

inline Manifest tiny_manifest(const std::string& run_id, std::int64_t step) {
    Manifest manifest;
    manifest.run_id = run_id;
    manifest.identity.step = step;
    manifest.created_utc_seconds = 1'795'000'000 + step;
    manifest.metrics_line = R"({"step":)" + std::to_string(step) + R"(,"loss":3.25})";
    manifest.tokens = step * 64;
    manifest.cursor = {0, step * 4, "train_000.bin", step * 64};
    manifest.seed = 1337;
    manifest.lanes = 2;
    manifest.probes = {{"dropout", 7}};
    manifest.config = R"({"model":{"n_layer":2}})";
    manifest.data_fingerprint = "abc";
    manifest.environment = R"({"threads":1})";
    return manifest;
}

// add, seal; on any error that error.
inline base::Result<PendingSave> sealed_save(base::Result<PendingSave> opened, Manifest manifest) {
    if (!opened.ok()) {
        return opened.error();
    }
    PendingSave save = std::move(opened).value();
    const TinyState state = TinyState::of_step(manifest.identity.step);
    base::Status status = save.add(kModelFileName, state.model_sources());
    if (status.ok()) {
        status = save.add(optimizer_file_name(1, 1), state.optimizer_sources());
    }
    manifest.identity.save_id = save.save_id();
    if (status.ok()) {
        status = save.seal(std::move(manifest));
    }
    if (!status.ok()) {
        return status.error();
    }
    return save;
}

class RunFixture : public ::testing::Test {
protected:
    // Sweeps make thousands of small stores: in memory where there is such a file system.
    enum class Place { kDisk, kMemory };

    explicit RunFixture(Place place = Place::kDisk)
        : root_(place == Place::kMemory ? memory_directory() : std::string()),
          dir_((root_.empty() ? temporary_.path() : root_) + "/run") {
        faults_.let_syncs_reach_disk(false);
    }
    ~RunFixture() override {
        if (!root_.empty()) {
            std::error_code ignored;  // as TemporaryDirectory
            std::filesystem::remove_all(root_, ignored);
        }
    }

    [[nodiscard]] OpenRunOptions options(const std::string& resume = "auto") const {
        OpenRunOptions options;
        options.resume = parse_resume_request(resume).value();
        options.directory = dir_;
        options.identity.config = R"({"model":{"n_layer":2}})";
        options.identity.data_fingerprint = "abc";
        options.identity.lanes = 2;
        options.now_utc_seconds = 1'795'000'000;
        options.differences = [](const RunIdentity& stored) {
            return stored.config == R"({"model":{"n_layer":2}})"
                       ? std::vector<std::string>{}
                       : std::vector<std::string>{"model.n_layer"};
        };
        return options;
    }

    base::Result<OpenedRun> open(const std::string& resume = "auto") {
        return open_run(*file_system_, options(resume), shared_buffers());
    }

    base::Result<PublishedCheckpoint> save(const RunDirectory& run,
                                           std::int64_t step,
                                           Pool pool = Pool::kRolling,
                                           std::vector<Pool> owed = {}) const {
        Manifest manifest = tiny_manifest(run.identity().run_id, step);
        manifest.owed = std::move(owed);
        return save(run, std::move(manifest), pool);
    }
    base::Result<PublishedCheckpoint> save(const RunDirectory& run,
                                           Manifest manifest,
                                           Pool pool = Pool::kRolling) const {
        base::Result<PendingSave> pending = sealed_save(
            run.begin_save(make_save_id(), kTinyBytes, shared_buffers()), std::move(manifest));
        if (!pending.ok()) {
            return pending.error();
        }
        return run.publish(std::move(pending).value(), pool, shared_buffers());
    }

    // Loads into `state`; what a trainer does.
    static LoadFunction load_into(TinyState& state) {
        return [&state](const Entry&, Reader& reader) {
            return reader.load(state.targets(), Unrequested::kRefuse, {.thread_count = 1});
        };
    }

    [[nodiscard]] std::vector<std::string> labels() const {
        std::vector<std::string> labels;
        for (const Entry& entry :
             scan_pools(fs::real_file_system(), RunPaths::of(dir_), {}).entries) {
            labels.push_back(entry.label() +
                             (entry.usable() ? std::string() : " (" + entry.why + ")"));
        }
        return labels;
    }
    [[nodiscard]] std::string in_run(const std::string& name) const { return dir_ + '/' + name; }

    static std::string memory_directory() {
        std::string pattern = "/dev/shm/holdfast-test-XXXXXX";
        return ::mkdtemp(pattern.data()) == nullptr ? std::string() : pattern;
    }

    TemporaryDirectory temporary_;
    std::string root_;  // of a run in memory; empty: temporary_
    std::string dir_;
    // As in the program, with the faults between the system and what repeats interrupted calls.
    fs::FaultFileSystem faults_{fs::real_file_system()};
    fs::RestartingFileSystem restarting_{faults_};
    fs::FileSystem* file_system_ = &restarting_;
};

// Reads and rewrites a file past the seam, though it is read-only.
inline std::string slurp(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}
inline void overwrite(const std::string& path, const std::string& bytes) {
    std::filesystem::permissions(
        path, std::filesystem::perms::owner_write, std::filesystem::perm_options::add);
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}
// In place: truncating and writing anew would wait for the disk.
inline void poke(const std::string& path, std::size_t byte, char value) {
    std::filesystem::permissions(
        path, std::filesystem::perms::owner_write, std::filesystem::perm_options::add);
    std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(static_cast<std::streamoff>(byte));
    file.put(value);
}
inline void flip_bit(const std::string& path, std::size_t byte, unsigned bit = 0) {
    const auto old = static_cast<unsigned char>(slurp(path).at(byte));
    poke(path, byte, static_cast<char>(old ^ (1U << bit)));
}

}  // namespace holdfast::checkpoint
