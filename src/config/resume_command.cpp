#include "config/resume_command.h"

#include <algorithm>
#include <cctype>

#include <fmt/format.h>

#include "config/option_table.h"

namespace holdfast::config {

namespace {

bool is_plain(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
           std::string_view("%+,-./:=@_").find(c) != std::string_view::npos;
}

// What the request itself says, under whatever name it was given.
bool is_checkpoint_dir(const std::string& name) {
    const auto option = option_table().find_by_name(name);
    return option.ok() && option.value()->key == "checkpoint.dir";
}

}  // namespace

std::string shell_quoted(std::string_view word) {
    if (!word.empty() && std::all_of(word.begin(), word.end(), is_plain)) {
        return std::string(word);
    }
    std::string quoted = "'";
    for (const char c : word) {
        quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
    }
    return quoted + '\'';
}

std::string resume_command(const ResumeRequest& request) {
    std::vector<std::string> words = {request.program, "train"};
    if (!request.config_path.empty()) {
        words.insert(words.end(), {"--config", request.config_path});
    }
    for (const auto& [name, value] : request.overrides) {
        if (!is_checkpoint_dir(name)) {
            // One word, so that a value that begins with a dash is still a value.
            words.push_back(fmt::format("--{}={}", name, value));
        }
    }
    words.insert(words.end(), request.launch.begin(), request.launch.end());
    words.insert(words.end(),
                 {"--checkpoint-dir", request.run_directory, "--resume", request.resume});
    std::string command;
    if (!request.working_directory.empty()) {
        command = "cd " + shell_quoted(request.working_directory) + " &&";
    }
    for (const std::string& word : words) {
        command += command.empty() ? "" : " ";
        command += shell_quoted(word);
    }
    return command;
}

}  // namespace holdfast::config
