// A run of three checkpoints of three pages of tensors, to be damaged, and what must come of it.
#pragma once

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/checksum.h"
#include "base/log.h"
#include "checkpoint_fixture.h"
#include "store_clone.h"

namespace holdfast::checkpoint {

inline constexpr std::size_t kPage = 4096;
inline constexpr std::size_t kChunk = 1500;
inline constexpr const char* kModel = "model.safetensors";
inline constexpr const char* kOptimizer = "optimizer-00001-of-00001.safetensors";
inline constexpr const char* kManifest = "checkpoint.json";

struct PagedState {
    std::vector<float> weight = std::vector<float>(2 * kPage / sizeof(float));
    std::vector<float> moment = std::vector<float>(5 * kPage / 4 / sizeof(float));

    static PagedState of_step(std::int64_t step) {
        PagedState state;
        float value = static_cast<float>(step) * 8192.0F + 0.5F;
        for (auto* tensor : {&state.weight, &state.moment}) {
            for (float& x : *tensor) {
                x = value++;
            }
        }
        return state;
    }
    bool operator==(const PagedState&) const = default;

    static TensorInfo weight_info() { return {"transformer.wte.weight", "F32", {2, 1024}}; }
    static TensorInfo moment_info() { return {"optimizer.m", "F32", {1280}}; }
    [[nodiscard]] std::vector<TensorTarget> targets() {
        return {{weight_info(), std::as_writable_bytes(std::span(weight))},
                {moment_info(), std::as_writable_bytes(std::span(moment))}};
    }
};

inline void write_new(const std::string& path, const std::string& bytes) {
    // Never through a hard link into another clone.
    std::filesystem::remove_all(path);
    std::ofstream(path, std::ios::binary) << bytes;
}

class DamageSweep : public RunFixture {
protected:
    DamageSweep() : RunFixture(Place::kMemory) {
        make_run(dir_);
        make_run(other_);
        clone_store(dir_, pristine_);
        base::capture_log([this](auto, std::string_view line) { lines_.emplace_back(line); });
    }
    ~DamageSweep() override {
        base::capture_log(nullptr);
        std::filesystem::remove_all(pristine_);
        std::filesystem::remove_all(other_);
    }

    void make_run(const std::string& directory) {
        OpenRunOptions wanted = options();
        wanted.directory = directory;
        const auto opened = open_run(*file_system_, wanted, shared_buffers());
        ASSERT_TRUE(opened.ok()) << opened.error().what;
        for (const std::int64_t step : {0, 250, 500}) {
            save_paged(opened.value().run, step);
        }
    }
    void save_paged(const RunDirectory& run, std::int64_t step) {
        const PagedState state = PagedState::of_step(step);
        auto pending = run.begin_save(make_save_id(), 16 * kPage, shared_buffers());
        ASSERT_TRUE(pending.ok());
        const std::vector<TensorSource> weight{
            {PagedState::weight_info(), std::as_bytes(std::span(state.weight))}};
        const std::vector<TensorSource> moment{
            {PagedState::moment_info(), std::as_bytes(std::span(state.moment))}};
        ASSERT_TRUE(pending.value().add(kModel, weight).ok());
        ASSERT_TRUE(pending.value().add(kOptimizer, moment).ok());
        Manifest manifest = tiny_manifest(run.identity().run_id, step);
        manifest.identity.save_id = pending.value().save_id();
        ASSERT_TRUE(pending.value().seal(manifest).ok());
        const auto published =
            run.publish(std::move(pending).value(), Pool::kRolling, shared_buffers());
        ASSERT_TRUE(published.ok());
        cut_chunks(published.value().path);
    }
    // The same files, in more chunks: a manifest may cut them anywhere.
    static void cut_chunks(const std::string& entry) {
        const std::string path = entry + '/' + kManifest;
        Manifest manifest = parse_manifest(slurp(path)).value();
        for (FileRecord& file : manifest.files) {
            const std::string bytes = slurp(entry + '/' + file.name);
            file.chunks.clear();
            for (std::size_t at = 0; at < bytes.size(); at += kChunk) {
                const std::string part = bytes.substr(at, kChunk);
                file.chunks.push_back(
                    {part.size(), base::checksum64(std::as_bytes(std::span(part)))});
            }
            file.checksum = chunks_checksum(file.chunks);
        }
        overwrite(path, print_manifest(manifest).value());
    }

    static LoadFunction load_paged(PagedState& state) {
        return [&state](const Entry&, Reader& reader) {
            return reader.load(state.targets(), Unrequested::kRefuse, {.thread_count = 1});
        };
    }
    // A load must say kCorrupt, and no wrong byte may have been passed on.
    void expect_detected(const std::string& entry, const PagedState& right) {
        PagedState state;
        base::Status status;
        auto reader = Reader::open(fs::real_file_system(), entry);
        status = reader.ok() ? reader.value().load(
                                   state.targets(), Unrequested::kRefuse, {.thread_count = 1})
                             : base::Status(reader.error());
        ASSERT_FALSE(status.ok());
        ASSERT_EQ(status.error().kind, base::ErrorKind::kCorrupt) << status.error().what;
        const auto untouched_or_right = [](const auto& found, const auto& expected) {
            return std::equal(found.begin(), found.end(), expected.begin(), [](float a, float b) {
                return a == 0.0F || a == b;
            });
        };
        ASSERT_TRUE(untouched_or_right(state.weight, right.weight));
        ASSERT_TRUE(untouched_or_right(state.moment, right.moment));
    }
    [[nodiscard]] std::size_t lines_with(const std::string& part) const {
        return static_cast<std::size_t>(
            std::count_if(lines_.begin(), lines_.end(), [&](const std::string& line) {
                return line.find(part) != std::string::npos;
            }));
    }
    void expect_told(std::int64_t to_step) {
        const std::string line = "fell back from rolling/step_00000500 to rolling/step_00000" +
                                 std::string(to_step == 0 ? "000" : "250") + ": " +
                                 std::to_string(500 - to_step);
        ASSERT_EQ(lines_with(line), 1U) << ::testing::PrintToString(lines_);
        ASSERT_EQ(lines_with("fell back"), 1U);
        ASSERT_EQ(lines_with("rolling/step_00000500 is not used: "), 1U);
    }
    // The damage to the newest costs 250 steps (or 500, when it hit the one before too).
    void expect_fallback(std::int64_t to_step = 250, bool moved = true) {
        lines_.clear();
        auto opened = open();
        ASSERT_TRUE(opened.ok()) << opened.error().what;
        PagedState state;
        const auto resumed =
            resume_load(opened.value(), parse_resume_request("auto").value(), load_paged(state));
        faults_.disarm();
        ASSERT_TRUE(resumed.ok()) << resumed.error().what;
        ASSERT_EQ(resumed.value().entry.manifest.identity.step, to_step);
        ASSERT_EQ(state, PagedState::of_step(to_step));
        ASSERT_EQ(resumed.value().steps_lost, 500 - to_step);
        expect_told(to_step);
        ASSERT_EQ(resumed.value().is_head, moved);
        // lstat: what was moved may be a symlink to nowhere.
        const bool gone = !std::filesystem::exists(
            std::filesystem::symlink_status(in_run("rolling/step_00000500")));
        ASSERT_EQ(gone, moved);
        const std::size_t count = static_cast<std::size_t>(
            std::distance(std::filesystem::directory_iterator(in_run("quarantine")), {}));
        ASSERT_EQ(count, moved ? static_cast<std::size_t>(500 - to_step) / 250 : 0U);
    }
    using Change = std::function<void(const std::string& newest)>;
    void expect_fallback_after(const std::string& what,
                               const Change& change,
                               std::int64_t to_step = 250) {
        SCOPED_TRACE(what);
        clone_store(pristine_, dir_);
        change(in_run("rolling/step_00000500"));
        expect_fallback(to_step);
        ++tried_;
    }
    // Bytes of a file of the newest changed.
    void expect_fallback_of(const std::string& what,
                            const char* file,
                            const std::function<std::string(std::string)>& change) {
        expect_fallback_after(file + (": " + what), [&](const std::string& newest) {
            const std::string sound = slurp(newest + '/' + file);
            const std::string bytes = change(sound);
            ASSERT_NE(bytes, sound);
            write_new(newest + '/' + file, bytes);
        });
    }

    // Offsets at which something begins or ends, and their neighbours.
    static std::set<std::size_t> edges(const std::string& entry, const char* file) {
        const std::string bytes = slurp(entry + '/' + file);
        std::set<std::size_t> edges{0, 8, bytes.size()};
        for (std::size_t at = 0; at < bytes.size(); at += kPage) {
            edges.insert(at);
        }
        for (std::size_t at = 0; at < bytes.size(); at += kChunk) {
            edges.insert(at);
        }
        edges.insert(bytes.rfind("\"checksum\"") + 1);
        edges.insert(bytes.find_first_of('}'));
        std::set<std::size_t> with_neighbours;
        for (const std::size_t edge : edges) {
            for (const std::size_t at : {edge - 1, edge, edge + 1}) {
                if (at < bytes.size()) {
                    with_neighbours.insert(at);
                }
            }
        }
        return with_neighbours;
    }

    void print_count(const char* what) const { std::printf("%zu %s\n", tried_, what); }

    const std::string pristine_ = dir_ + "_pristine";
    const std::string other_ = dir_ + "_other";  // another run of the same settings
    std::vector<std::string> lines_;
    std::size_t tried_ = 0;
};

}  // namespace holdfast::checkpoint
