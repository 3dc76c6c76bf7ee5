#include "cli/train_follower.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/reader.h"
#include "cli/command.h"
#include "cli/node_disks.h"
#include "cli/run_environment.h"
#include "cli/training_run.h"
#include "config/resolve.h"
#include "kernels/kernels.h"
#include "train/part_saver.h"
#include "train/rank_follower.h"
#include "train/stop_request.h"

namespace holdfast::cli {

base::ExitCode follow_run(RankSession& ranks, const train::RunData& data, c10::Device device) {
    // The first signal is for rank 0 to answer; the second ends this process.
    const train::StopRequest stop;
    SeenDisk disk(ranks);
    std::unique_ptr<kernels::Kernels> kernels;
    std::unique_ptr<TrainingRun> training;
    std::unique_ptr<data::BatchLoader> loader;
    const auto set_up = [&](const std::string& text) {
        const config::Settings settings =
            value_or_fail(config::settings_from_json(text, "the settings of rank 0"));
        set_up_torch(settings.run.threads, settings.run.deterministic);
        kernels = kernels::make_kernels(device);
        training = std::make_unique<TrainingRun>(settings, data, *kernels, &ranks.group());
    };
    const auto load = [&](const std::string& path) -> base::Status {
        base::Result<checkpoint::Reader> reader = checkpoint::Reader::open(disk.files(), path);
        if (!reader.ok()) {
            return reader.error();
        }
        return training->load(reader.value());
    };
    const auto begin = [&](bool loaded, const data::Cursor& cursor) {
        if (loaded) {
            training->install();
        } else {
            training->initialise();
        }
        loader = value_or_fail(training->make_loader(cursor));
    };
    const std::optional<base::ExitCode> ended = train::follow_start(
        ranks.group(),
        {.look = [&](const std::string& question) { return disk.look(question); },
         .looked = [&](const std::vector<std::string>& answers) { disk.take(answers); },
         .set_up = set_up,
         .load = load,
         .begin = begin});
    if (ended) {
        return *ended;
    }
    train::PartSaver saver(disk.files(),
                           training->snapshot(),
                           {.rank = ranks.rank(), .ranks = ranks.size()},
                           ranks.connect());
    return train::follow({.group = ranks.group(),
                          .watch = ranks.watch(),
                          .gpt = training->gpt(),
                          .step = training->step(),
                          .loader = *loader,
                          .val_sets = training->val_sets(),
                          .saver = saver,
                          .capture = [&] { training->capture(); }});
}

}  // namespace holdfast::cli
