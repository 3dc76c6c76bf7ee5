#include "cli/resume_words.h"

#include <filesystem>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "checkpoint/resume_load.h"
#include "checkpoint/run_choice.h"
#include "cli/command.h"
#include "cli/train_request.h"
#include "config/option_table.h"
#include "config/resolve.h"
#include "config/resume_command.h"
#include "fs/durable_write.h"

namespace holdfast::cli {

namespace {

// The settings the run would go on with: those of its newest checkpoint; what makes the run what it
// is, as run.json has it.
base::Result<config::Settings> settings_of_run(fs::FileSystem& file_system,
                                               const std::string& run_directory,
                                               const checkpoint::Manifest& manifest) {
    auto settings = config::settings_from_json(manifest.config, "checkpoint.json");
    const auto view = checkpoint::view_run(file_system, checkpoint::RunPaths::of(run_directory));
    if (!settings.ok() || !view.ok() || !view.value().identity) {
        return settings;
    }
    const auto of_run = config::settings_from_json(view.value().identity->config, "run.json");
    if (!of_run.ok()) {
        return of_run;
    }
    for (const config::Option& option : config::option_table().options()) {
        if (option.change != config::ChangeRule::kFree) {
            option.set(settings.value(), option.get(of_run.value()));
        }
    }
    return settings;
}

// Every setting of the run that `known` does not already give. What `known` leaves to the program
// stays as the run has it.
std::vector<config::KeyValue> overrides_from(const config::Settings& known,
                                             const config::Settings& settings) {
    std::vector<config::KeyValue> pairs;
    for (const config::Option& option : config::option_table().options()) {
        const config::OptionValue given = option.get(known);
        const config::OptionValue value = option.get(settings);
        if (value != given && !option.is_automatic(given) && option.key != "checkpoint.dir") {
            pairs.emplace_back(option.key, config::option_text(option, value));
        }
    }
    return pairs;
}

}  // namespace

base::Result<std::string> resume_command_of(fs::FileSystem& file_system,
                                            const std::string& run_directory) {
    const auto candidates = checkpoint::candidates_at(file_system, run_directory);
    if (!candidates.ok()) {
        return candidates.error();
    }
    const checkpoint::Manifest& manifest = candidates.value().front().manifest;
    const auto settings = settings_of_run(file_system, run_directory, manifest);
    if (!settings.ok()) {
        return settings.error();
    }
    const auto environment = nlohmann::json::parse(manifest.environment, nullptr, false);
    const auto launch = environment.value("launch", nlohmann::json::object());
    config::ResumeRequest request;
    request.run_directory = run_directory;
    request.resume = "latest";
    request.program = program_name();
    // Relative paths of the run are meant from where it was started.
    const std::string started_in = launch.value("working_directory", "");
    std::error_code ignored;
    const std::filesystem::path here = std::filesystem::current_path(ignored);
    const auto started_in_exists = fs::exists(file_system, started_in);
    if (!started_in.empty() && here != started_in && started_in_exists.ok() &&
        started_in_exists.value()) {
        request.working_directory = started_in;
        if (request.program.find('/') != std::string::npos) {
            request.program = (here / request.program).lexically_normal();
        }
        request.run_directory = (here / run_directory).lexically_normal();
    }
    // A config file that is gone, or that no program could read now, is spelled out instead.
    config::ResolvedSettings known;
    const std::string config_path = launch.value("config", "");
    if (!config_path.empty()) {
        const std::string path =
            (std::filesystem::path(request.working_directory) / config_path).string();
        const auto text = fs::read_file(file_system, path, kConfigBytesMax);
        if (text.ok() && config::apply_config_file(known, text.value(), config_path).ok()) {
            request.config_path = config_path;
        }
    }
    request.overrides = overrides_from(known.settings, settings.value());
    const auto ranks = launch.value("ranks", nlohmann::json::array());
    for (const auto& word : ranks.is_array() ? ranks : nlohmann::json::array()) {
        if (word.is_string()) {
            request.launch.push_back(word.get<std::string>());
        }
    }
    return config::resume_command(request);
}

}  // namespace holdfast::cli
