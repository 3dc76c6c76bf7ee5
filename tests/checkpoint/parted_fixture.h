// A run whose checkpoints are written by several ranks, and a state of tensors of many shapes.
#pragma once

#include <cstdint>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/checksum.h"
#include "checkpoint/content_hash.h"
#include "checkpoint_fixture.h"
#include "parted_save.h"

namespace holdfast::checkpoint {

// A small model with its moments, whose values name the step; `rows` of the embedding make it as
// large as a test wants.
class LayeredState {
public:
    explicit LayeredState(std::int64_t step, std::int64_t rows = 20) {
        const std::vector<TensorInfo> model{{"wte.weight", "F32", {rows, 8}},
                                            {"ln.weight", "F32", {7}},
                                            {"empty", "F32", {0, 4}},
                                            {"mlp.weight", "F32", {3, 11}},
                                            {"ln.bias", "F32", {1}},
                                            {"head.weight", "F32", {9, 5}}};
        // Whole numbers, which a float counts without a gap up to 16.7 million.
        const auto first = static_cast<float>(step);
        float value = first;
        for (const TensorInfo& info : model) {
            add(info, value, model_);
        }
        for (const char* moment : {"m.", "v."}) {
            value = first + (moment[0] == 'm' ? 1.0F : 2.0F);
            for (TensorInfo info : model) {
                if (info.name != "empty") {
                    info.name.insert(0, moment);
                    add(info, value, optimizer_);
                }
            }
        }
        add({"update_count", "F32", {}}, value, whole_);
    }

    // As PartedState borrows it; this must outlive it.
    [[nodiscard]] PartedState owned_by(const Ownership& of_model,
                                       const Ownership& of_optimizer) const {
        return {
            sources_of(model_), sources_of(optimizer_), sources_of(whole_), of_model, of_optimizer};
    }
    [[nodiscard]] PartedState evenly(std::uint64_t rank_count) const {
        return owned_by(cut_evenly(model_elements(), rank_count),
                        cut_evenly(optimizer_elements(), rank_count));
    }
    [[nodiscard]] std::uint64_t model_elements() const { return elements_of(sources_of(model_)); }
    [[nodiscard]] std::uint64_t optimizer_elements() const {
        return elements_of(sources_of(optimizer_));
    }
    [[nodiscard]] std::vector<TensorSource> model() const { return sources_of(model_); }
    // What one rank writes.
    [[nodiscard]] std::vector<TensorSource> optimizer() const {
        std::vector<TensorSource> all = sources_of(optimizer_);
        all.push_back(sources_of(whole_).front());
        return all;
    }
    [[nodiscard]] std::uint64_t bytes() const {
        std::uint64_t bytes = 0;
        for (const auto& sources : {model(), optimizer()}) {
            for (const TensorSource& source : sources) {
                bytes += source.bytes.size();
            }
        }
        return bytes;
    }

private:
    struct Values {
        TensorInfo info;
        std::vector<float> values;
    };
    static void add(const TensorInfo& info, float& value, std::vector<Values>& list) {
        std::vector<float> values(tensor_elements(info.shape).value());
        for (float& each : values) {
            each = value;
            value += 1.0F;
        }
        list.push_back({info, std::move(values)});
    }
    static std::vector<TensorSource> sources_of(const std::vector<Values>& list) {
        std::vector<TensorSource> sources;
        sources.reserve(list.size());
        for (const Values& tensor : list) {
            sources.push_back({tensor.info, std::as_bytes(std::span(tensor.values))});
        }
        return sources;
    }

    std::vector<Values> model_;
    std::vector<Values> optimizer_;
    std::vector<Values> whole_;
};

class PartedFixture : public RunFixture {
protected:
    explicit PartedFixture(Place place = Place::kDisk) : RunFixture(place) {}

    [[nodiscard]] Manifest manifest_of(const RunDirectory& run, std::int64_t step) const {
        return tiny_manifest(run.identity().run_id, step);
    }
    // A save begun, its directory told.
    base::Result<PendingSave> begin(const RunDirectory& run) const {
        return run.begin_save(make_save_id(), kTinyBytes, shared_buffers());
    }
    base::Result<PublishedCheckpoint> save_parts(const RunDirectory& run,
                                                 const PartedState& state,
                                                 std::int64_t step,
                                                 std::vector<Pool> owed = {}) const {
        Manifest manifest = manifest_of(run, step);
        manifest.owed = std::move(owed);
        base::Result<PendingSave> sealed = sealed_parted_save(
            *file_system_, begin(run), state, std::move(manifest), shared_buffers());
        if (!sealed.ok()) {
            return sealed.error();
        }
        return run.publish(std::move(sealed).value(), Pool::kRolling, shared_buffers());
    }
    // The same state as one rank writes it.
    base::Result<PublishedCheckpoint> save_whole(const RunDirectory& run,
                                                 const LayeredState& state,
                                                 std::int64_t step) const {
        base::Result<PendingSave> begun = begin(run);
        if (!begun.ok()) {
            return begun.error();
        }
        PendingSave save = std::move(begun).value();
        Manifest manifest = manifest_of(run, step);
        manifest.identity.save_id = save.save_id();
        base::Status status = save.add(kModelFileName, state.model());
        if (status.ok()) {
            status = save.add(optimizer_file_name(1, 1), state.optimizer());
        }
        if (status.ok()) {
            status = save.seal(std::move(manifest));
        }
        if (!status.ok()) {
            return status.error();
        }
        return run.publish(std::move(save), Pool::kRolling, shared_buffers());
    }
    [[nodiscard]] std::string hash_of(const std::string& path) const {
        auto reader = Reader::open(*file_system_, path);
        if (!reader.ok()) {
            return reader.error().what;
        }
        const auto hash = content_hash(reader.value());
        return hash.ok() ? base::to_hex(hash.value()) : hash.error().what;
    }
    [[nodiscard]] std::vector<std::string> pending_directories() const {
        std::vector<std::string> found;
        for (const auto& entry : std::filesystem::directory_iterator(dir_)) {
            if (parse_pending_name(entry.path().filename().string())) {
                found.push_back(entry.path().filename());
            }
        }
        return found;
    }
};

}  // namespace holdfast::checkpoint
