// Scalars for TensorBoard, in a file of its own for each start of the program.
//
// A start that resumes says so (SessionLog START at its first step), so TensorBoard hides what a
// crashed start had written for later steps and the curves do not zig-zag. Never a reason to stop:
// see patient_file.h. One thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "base/result.h"
#include "fs/file_system.h"
#include "telemetry/event_record.h"
#include "telemetry/patient_file.h"
#include "telemetry/step_metrics.h"

namespace holdfast::telemetry {

class TensorboardWriter {
public:
    // Makes `directory` when missing and in it `events.out.tfevents.<time>.<host>.<pid>.<number>`,
    // a name not yet taken. `resumed_first_step`: the first step this start will write, when it
    // goes on from a checkpoint. `file_system` must outlive this. Errors: what the seam says.
    static base::Result<std::unique_ptr<TensorboardWriter>> open(
        fs::FileSystem& file_system,
        const std::string& directory,
        std::optional<std::int64_t> resumed_first_step);

    void add_scalars(std::int64_t step, std::span<const Scalar> scalars);
    // The fields of the line under "train/", "val/" and "cost/".
    void add_metrics(const StepMetrics& metrics);
    base::Status sync();

    [[nodiscard]] const std::string& path() const { return file_->path(); }

private:
    explicit TensorboardWriter(std::unique_ptr<PatientFile> file);

    std::unique_ptr<PatientFile> file_;
};

// What add_metrics() writes: absent fields are left out.
std::vector<Scalar> scalars_of(const StepMetrics& metrics);

}  // namespace holdfast::telemetry
