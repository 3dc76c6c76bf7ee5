#include "telemetry/tensorboard_writer.h"

#include <array>
#include <chrono>
#include <utility>

#include <unistd.h>

#include <fmt/format.h>

namespace holdfast::telemetry {

namespace {

double wall_seconds_now() {
    const auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
    return std::chrono::duration<double>(since_epoch).count();
}

std::string host_name() {
    std::array<char, 256> name{};
    if (::gethostname(name.data(), name.size() - 1) != 0 || name[0] == '\0') {
        return "localhost";
    }
    return name.data();
}

base::Result<std::string> free_path(fs::FileSystem& file_system,
                                    const std::string& directory,
                                    double wall_seconds) {
    for (int number = 0;; ++number) {
        std::string path = fs::join(directory,
                                    fmt::format("events.out.tfevents.{:010}.{}.{}.{}",
                                                static_cast<std::int64_t>(wall_seconds),
                                                host_name(),
                                                ::getpid(),
                                                number));
        const auto taken = fs::exists(file_system, path);
        if (!taken.ok()) {
            return taken.error();
        }
        if (!taken.value()) {
            return path;
        }
    }
}

}  // namespace

TensorboardWriter::TensorboardWriter(std::unique_ptr<PatientFile> file) : file_(std::move(file)) {}

base::Result<std::unique_ptr<TensorboardWriter>> TensorboardWriter::open(
    fs::FileSystem& file_system,
    const std::string& directory,
    std::optional<std::int64_t> resumed_first_step) {
    if (auto made = fs::make_directories(file_system, directory); !made.ok()) {
        return made.error();
    }
    const double now_seconds = wall_seconds_now();
    const auto path = free_path(file_system, directory, now_seconds);
    if (!path.ok()) {
        return path.error();
    }
    auto file = PatientFile::open(file_system, path.value());
    if (!file.ok()) {
        return file.error();
    }
    std::unique_ptr<TensorboardWriter> writer(new TensorboardWriter(std::move(file).value()));
    const std::int64_t step = resumed_first_step.value_or(0);
    // A refused record is counted by the file, here and below.
    static_cast<void>(writer->file_->append(framed(version_event(now_seconds, step))));
    if (resumed_first_step) {
        static_cast<void>(writer->file_->append(framed(session_start_event(now_seconds, step))));
    }
    return writer;
}

void TensorboardWriter::add_scalars(std::int64_t step, std::span<const Scalar> scalars) {
    static_cast<void>(file_->append(framed(scalars_event(wall_seconds_now(), step, scalars))));
}

void TensorboardWriter::add_metrics(const StepMetrics& metrics) {
    add_scalars(metrics.step, scalars_of(metrics));
}

base::Status TensorboardWriter::sync() {
    return file_->sync();
}

std::vector<Scalar> scalars_of(const StepMetrics& metrics) {
    std::vector<Scalar> scalars;
    const auto add = [&scalars](std::string tag, std::optional<double> value) {
        if (value) {
            scalars.push_back({std::move(tag), static_cast<float>(*value)});
        }
    };
    add("train/loss", metrics.loss);
    add("train/lr", metrics.learning_rate);
    add("train/grad_norm", metrics.grad_norm);
    add("train/epoch", static_cast<double>(metrics.epoch));
    add("train/tokens", static_cast<double>(metrics.tokens));
    for (const ValLoss& val_loss : metrics.val_losses) {
        add(val_loss.set.empty() ? "val/loss" : "val/loss." + val_loss.set, val_loss.loss);
    }
    add("cost/tokens_per_second", metrics.tokens_per_second);
    add("cost/step_ms", metrics.step_ms);
    add("cost/data_wait_ms", metrics.data_wait_ms);
    add("cost/save_stall_ms", metrics.save_stall_ms);
    add("cost/mfu", metrics.mfu);
    if (metrics.memory_bytes) {
        add("cost/memory_bytes", static_cast<double>(*metrics.memory_bytes));
    }
    return scalars;
}

}  // namespace holdfast::telemetry
