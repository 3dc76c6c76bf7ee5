#include "cli/run_environment.h"

#include <algorithm>
#include <thread>

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <torch/version.h>

#include "base/build_info.h"
#include "cli/command.h"
#include "cli/option_numbers.h"
#include "fs/durable_write.h"
#include "fs/real_file_system.h"
#include "kernels/caching_cpu_allocator.h"

namespace holdfast::cli {

namespace {

constexpr std::array kPromiseKeys = {
    "commit", "compiler", "libtorch", "device", "threads", "kernels", "deterministic"};

// The kernel's text of the first processor.
std::string processor_name() {
    // procfs files say 0 bytes: read what one page holds.
    auto file = fs::real_file_system().open("/proc/cpuinfo", {});
    if (!file.ok()) {
        return "unknown processor";
    }
    std::string text(4096, '\0');
    const auto count = file.value()->read_at(std::as_writable_bytes(std::span(text)), 0);
    text.resize(count.ok() ? count.value() : 0);
    const std::size_t key = text.find("model name");
    const std::size_t colon = text.find(": ", key);
    if (key == std::string::npos || colon == std::string::npos) {
        return "unknown processor";
    }
    return text.substr(colon + 2, text.find('\n', colon) - colon - 2);
}

}  // namespace

int gpu_count() {
    return at::globalContext().hasCUDA() ? at::detail::getCUDAHooks().deviceCount() : 0;
}

at::Device choose_device(const std::string& asked, int local_rank) {
    const int gpus = gpu_count();
    const bool has_gpu = gpus > 0;
    if (asked == "cuda" && !has_gpu) {
        fail_usage(base::build_info().flavour == "cuda"
                       ? "device is cuda, but the driver shows no GPU; see `nvidia-smi`, or set "
                         "--device cpu"
                       : "device is cuda, but this is the cpu flavour; build with `tools/build "
                         "--flavour cuda`, "
                         "or set --device cpu");
    }
    if (asked == "cpu" || !has_gpu) {
        return {at::kCPU};
    }
    if (local_rank >= gpus) {
        fail_usage(fmt::format(
            "rank {} of this node has no GPU: there are {}, and each rank needs its own; start {} "
            "ranks a node, or set --device cpu",
            local_rank,
            gpus,
            gpus));
    }
    const at::Device device(at::kCUDA, static_cast<at::DeviceIndex>(local_rank));
    // Before anything is made on a GPU: what names no device goes to the current one.
    const c10::impl::VirtualGuardImpl guard(at::kCUDA);
    guard.setDevice(device);
    return device;
}

std::string device_option(const config::CommandLine& line, const std::string& otherwise) {
    std::string word = line.value("device", otherwise);
    if (word != "auto" && word != "cpu" && word != "cuda") {
        fail_usage(fmt::format("--device: expected auto, cpu or cuda, found '{}'", word));
    }
    if (word == "cuda" && gpu_count() == 0) {
        static_cast<void>(choose_device(word));  // says what is missing
    }
    return word;
}

std::int64_t threads_option(const config::CommandLine& line, int local_size) {
    const std::int64_t asked = count_option(line, "threads", "0");
    return asked > 0 ? asked
                     : std::max<std::int64_t>(
                           1, std::int64_t{std::thread::hardware_concurrency()} / local_size);
}

void set_up_torch(std::int64_t threads, bool deterministic) {
    static_cast<void>(kernels::install_caching_cpu_allocator());
    at::set_num_threads(static_cast<int>(threads));
    at::set_num_interop_threads(1);
    at::Context& context = at::globalContext();
    context.setDeterministicAlgorithms(deterministic, /*warn_only=*/false);
    // Otherwise every at::empty would be filled.
    context.setDeterministicFillUninitializedMemory(false);
    context.setBenchmarkCuDNN(false);
}

std::string device_name(at::Device device) {
    return device.is_cpu() ? processor_name() : std::string("cuda");
}

std::string environment_json(const config::Settings& settings,
                             const kernels::Kernels& kernels,
                             const std::string& launch_json) {
    const base::BuildInfo& build = base::build_info();
    const nlohmann::ordered_json environment = {
        {"version", build.version},
        {"commit", build.commit},
        {"flavour", build.flavour},
        {"build_type", build.build_type},
        {"compiler", build.compiler},
        {"libtorch", TORCH_VERSION},
        {"device", device_name(kernels.device())},
        {"threads", settings.run.threads},
        {"kernels", kernels.name()},
        {"deterministic", settings.run.deterministic},
        {"launch", nlohmann::ordered_json::parse(launch_json)},
    };
    return environment.dump();
}

std::vector<std::string> environment_differences(std::string_view stored_json,
                                                 std::string_view current_json) {
    const auto stored = nlohmann::json::parse(stored_json, nullptr, false);
    const auto current = nlohmann::json::parse(current_json, nullptr, false);
    std::vector<std::string> differences;
    for (const char* key : kPromiseKeys) {
        const nlohmann::json was = stored.value(key, nlohmann::json());
        const nlohmann::json is = current.value(key, nlohmann::json());
        if (was != is) {
            differences.push_back(
                fmt::format("{} changed from {} to {}", key, was.dump(), is.dump()));
        }
    }
    return differences;
}

}  // namespace holdfast::cli
