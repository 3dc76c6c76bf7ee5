#include "cli/resume_words.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "checkpoint/resume_load.h"
#include "config/option_table.h"
#include "config/resolve.h"
#include "config/resume_command.h"

namespace holdfast::cli {

namespace {

// All settings that are not the program's defaults: for a run whose config file is gone.
std::vector<config::KeyValue> spelled_out(const config::Settings& settings) {
    const config::Settings defaults;
    std::vector<config::KeyValue> pairs;
    for (const config::Option& option : config::option_table().options()) {
        const config::OptionValue value = option.get(settings);
        if (value != option.get(defaults) && option.key != "checkpoint.dir") {
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
    const auto environment = nlohmann::json::parse(manifest.environment, nullptr, false);
    const auto launch = environment.value("launch", nlohmann::json::object());
    config::ResumeRequest request;
    request.run_directory = run_directory;
    request.resume = "latest";
    request.config_path = launch.value("config", "");
    const auto config_exists = fs::exists(file_system, request.config_path);
    if (request.config_path.empty() || !config_exists.ok() || !config_exists.value()) {
        request.config_path.clear();
        const auto settings = config::settings_from_json(manifest.config, "checkpoint.json");
        if (!settings.ok()) {
            return settings.error();
        }
        request.overrides = spelled_out(settings.value());
        return config::resume_command(request);
    }
    for (const auto& pair : launch.value("overrides", nlohmann::json::array())) {
        if (pair.is_array() && pair.size() == 2 && pair.at(0) != "checkpoint.dir") {
            request.overrides.emplace_back(pair.at(0).get<std::string>(),
                                           pair.at(1).get<std::string>());
        }
    }
    return config::resume_command(request);
}

}  // namespace holdfast::cli
