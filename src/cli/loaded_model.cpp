#include "cli/loaded_model.h"

#include <ATen/ops/empty.h>
#include <c10/core/InferenceMode.h>

#include "checkpoint/resume_load.h"
#include "cli/command.h"
#include "cli/run_environment.h"
#include "config/resolve.h"
#include "fs/real_file_system.h"

namespace holdfast::cli {

namespace {

std::vector<checkpoint::TensorTarget> weight_targets(const model::ArenaLayout& layout,
                                                     at::Tensor& arena) {
    auto* begin = static_cast<std::byte*>(arena.mutable_data_ptr());
    std::vector<checkpoint::TensorTarget> targets;
    for (const model::ArenaTensor& tensor : layout.tensors()) {
        targets.push_back({.info = {tensor.name, "F32", tensor.shape},
                           .bytes = {begin + tensor.begin * 4,
                                     static_cast<std::size_t>(tensor.element_count()) * 4}});
    }
    return targets;
}

}  // namespace

LoadedModel load_model(const std::string& path,
                       const std::string& device,
                       std::int64_t threads,
                       std::int64_t sequences_max) {
    const at::Device chosen = choose_device(device);
    LoadedModel loaded;
    const auto load = [&](const checkpoint::Entry& entry,
                          checkpoint::Reader& reader) -> base::Status {
        auto settings = config::settings_from_json(entry.manifest.config, entry.path);
        if (!settings.ok()) {
            return settings.error();
        }
        loaded.settings = std::move(settings).value();
        if (!loaded.kernels) {
            set_up_torch(threads > 0 ? threads : loaded.settings.run.threads,
                         loaded.settings.run.deterministic);
            loaded.kernels = kernels::make_kernels(chosen);
        }
        const model::ArenaLayout layout(loaded.settings.model, 1);
        loaded.gpt = std::make_unique<model::Gpt>(
            model::GptOptions{
                loaded.settings.model,
                loaded.settings.run.precision,
                sequences_max > 0 ? sequences_max : loaded.settings.batch.micro_batch},
            layout,
            *loaded.kernels);
        const c10::InferenceMode guard;
        at::Tensor host = chosen.is_cpu() ? loaded.gpt->master()
                                          : at::empty({layout.element_count()},
                                                      at::TensorOptions().dtype(at::kFloat))
                                                .zero_();
        const base::Status read =
            reader.load(weight_targets(layout, host), checkpoint::Unrequested::kSkip);
        if (read.ok() && !chosen.is_cpu()) {
            loaded.gpt->master().copy_(host);
        }
        return read;
    };
    const checkpoint::ResumedFrom from =
        value_or_fail(checkpoint::load_newest(fs::real_file_system(), path, load));
    loaded.gpt->refresh_compute_copy();
    loaded.path = from.entry.path;
    loaded.manifest = from.entry.manifest;
    return loaded;
}

}  // namespace holdfast::cli
