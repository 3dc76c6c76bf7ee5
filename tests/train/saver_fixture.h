// A saver over a real run directory of a tiny model, on a disk that can be made to fail or to hang.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <ATen/ops/full.h>
#include <gmock/gmock.h>

#include "base/clock.h"
#include "base/log.h"
#include "checkpoint/catalog.h"
#include "checkpoint/reader.h"
#include "fs/fault_file_system.h"
#include "fs/real_file_system.h"
#include "temporary_directory.h"
#include "train/saver.h"

namespace holdfast::train {

class SaverFixture : public testing::Test {
protected:
    static constexpr double kRetrySeconds = 0.02;

    SaverFixture() {
        base::capture_log([this](base::LogLevel level, std::string_view text) {
            const std::scoped_lock lock(log_mutex_);
            log_.emplace_back(level, text);
        });
        checkpoint::OpenRunOptions options;
        options.resume = checkpoint::parse_resume_request("auto").value();
        options.directory = run_directory();
        options.differences = [](const checkpoint::RunIdentity&) {
            return std::vector<std::string>();
        };
        opened_.emplace(checkpoint::open_run(faults_, options, buffers_).value());
        metrics_log_ = telemetry::MetricsLog::open(faults_, in_run("metrics.jsonl")).value();
        start();
    }
    ~SaverFixture() override {
        faults_.disarm();
        faults_.open_gate();
        saver_.reset();
        base::capture_log(nullptr);
    }

    void start() {
        SaverOptions options;
        options.retry_seconds = kRetrySeconds;
        saver_ = std::make_unique<Saver>(opened_->run, snapshot_, *metrics_log_, options);
    }

    static model::ArenaLayout layout() {
        model::GptConfig config;
        config.n_layer = 1;
        config.n_head = 1;
        config.n_embd = 8;
        config.block_size = 4;
        config.vocab_size = 11;
        return {config, 1};
    }
    // The state after `step`: every number tells which step it is of.
    void capture(std::int64_t step, double factor = 1.0) {
        const auto filled = [&](double value) {
            return at::full({layout_.element_count()}, value, at::kFloat);
        };
        const auto number = static_cast<double>(step);
        snapshot_.capture({filled(number * factor),
                           filled(number * 2),
                           filled(number * 3),
                           at::full({}, step, at::kLong)});
    }
    SaveOrder order(std::int64_t step, checkpoint::Pool pool = checkpoint::Pool::kRolling) const {
        SaveOrder order;
        order.pool = pool;
        order.manifest.run_id = opened_->run.identity().run_id;
        order.manifest.identity.step = step;
        order.manifest.cursor.epoch = 1;
        return order;
    }
    bool save(std::int64_t step, checkpoint::Pool pool = checkpoint::Pool::kRolling) {
        return saver_->save([&] { capture(step); }, order(step, pool)).has_value();
    }

    // Every write into a checkpoint that is being made fails from now on.
    void fill_disk() {
        faults_.arm({.operation = fs::Operation::kReserve,
                     .path_part = ".pending",
                     .os_errno = ENOSPC,
                     .for_ever = true});
    }

    [[nodiscard]] std::vector<std::string> labels() const {
        std::vector<std::string> labels;
        for (const checkpoint::Entry& entry :
             checkpoint::scan_pools(
                 fs::real_file_system(), checkpoint::RunPaths::of(run_directory()), {})
                 .entries) {
            labels.push_back(entry.label() + entry.why);
        }
        std::sort(labels.begin(), labels.end());
        return labels;
    }
    // The step that the first weight of a checkpoint tells.
    [[nodiscard]] float step_inside(const std::string& label) const {
        auto reader = checkpoint::Reader::open(fs::real_file_system(), in_run(label));
        EXPECT_TRUE(reader.ok()) << reader.error().what;
        EXPECT_TRUE(reader.value().verify(1).ok());
        std::vector<std::byte> last(4);
        const auto& file = reader.value().manifest().files.front();
        EXPECT_TRUE(reader.value().read_unverified(0, file.bytes - 4, last).ok());
        float value = 0;
        std::memcpy(&value, last.data(), sizeof(value));
        return value;
    }
    [[nodiscard]] std::size_t count_logged(base::LogLevel level, const std::string& part) const {
        const std::scoped_lock lock(log_mutex_);
        return static_cast<std::size_t>(
            std::count_if(log_.begin(), log_.end(), [&](const auto& line) {
                return line.first == level && line.second.find(part) != std::string::npos;
            }));
    }
    // Until `condition` holds; false after a minute.
    static bool eventually(const std::function<bool()>& condition) {
        const double begin = base::monotonic_seconds();
        while (!condition()) {
            if (base::monotonic_seconds() - begin > 60) {
                return false;
            }
            std::this_thread::sleep_for(std::chrono::milliseconds(2));
        }
        return true;
    }
    static double soon() { return base::monotonic_seconds() + 0.05; }
    static double much_later() { return base::monotonic_seconds() + 60; }

    [[nodiscard]] std::string run_directory() const { return temporary_ / "run"; }
    [[nodiscard]] std::string in_run(const std::string& name) const {
        return run_directory() + "/" + name;
    }

    TemporaryDirectory temporary_;
    fs::FaultFileSystem faults_{fs::real_file_system()};
    checkpoint::TransferBuffers buffers_;
    model::ArenaLayout layout_ = layout();
    state::Snapshot snapshot_{layout_, {{0, layout_.element_count()}}, at::kCPU};
    std::optional<checkpoint::OpenedRun> opened_;
    std::unique_ptr<telemetry::MetricsLog> metrics_log_;
    std::unique_ptr<Saver> saver_;
    mutable std::mutex log_mutex_;
    std::vector<std::pair<base::LogLevel, std::string>> log_;
};

}  // namespace holdfast::train
