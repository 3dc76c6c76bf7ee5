// What a run computes on, chosen and set up once: device, threads, kernels; and how it is told to a
// checkpoint.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <c10/core/Device.h>

#include "config/command_line.h"
#include "config/settings.h"
#include "kernels/kernels.h"

namespace holdfast::cli {

// "cpu", or "cuda" when asked for (or "auto" finds a GPU this build can use): the GPU with the
// number of this rank on its node, which becomes the current one. Throws base::Failure (usage) for
// a device that is not there.
at::Device choose_device(const std::string& asked, int local_rank = 0);

// That this build can use.
int gpu_count();

// The value of --device, or `otherwise`. Throws base::Failure (usage) for what is no device, and
// for cuda where there is none.
std::string device_option(const config::CommandLine& line, const std::string& otherwise);

// The value of --threads, or what is this rank's share of the processors.
std::int64_t threads_option(const config::CommandLine& line, int local_size);

// Threads, determinism flags and the CPU allocator, before anything is computed.
void set_up_torch(std::int64_t threads, bool deterministic);

// "Intel(R) Xeon(R) ...", or the GPU's name: what peaks are looked up by and promises rest on.
std::string device_name(at::Device device);

// One JSON object, stored with every checkpoint: build, libtorch, device, threads, kernels.
std::string environment_json(const config::Settings& settings,
                             const kernels::Kernels& kernels,
                             const std::string& launch_json);

// What stands otherwise now than when the checkpoint was written, one line each: then the bits may
// differ (promise P2).
std::vector<std::string> environment_differences(std::string_view stored_json,
                                                 std::string_view current_json);

}  // namespace holdfast::cli
