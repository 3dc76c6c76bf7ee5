// Names that stand in a run directory and in a command: what is taken is plain and is exactly what
// the printer prints.
#include <algorithm>

#include "checkpoint/checkpoint_name.h"
#include "checkpoint/manifest.h"
#include "checkpoint/resume_request.h"
#include "checkpoint/tensor_map.h"
#include "fuzz/fuzz_target.h"

namespace holdfast::fuzz {

namespace {

// Nothing that leads out of a folder or upsets a terminal.
bool is_harmless(std::string_view name) {
    return !name.empty() && name != "." && name != ".." && name.size() <= 255 &&
           std::all_of(name.begin(), name.end(), [](char c) {
               return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                      c == '.' || c == '_' || c == '-';
           });
}

bool check_entry_name(std::string_view input) {
    const auto name = checkpoint::parse_checkpoint_name(input);
    if (!name) {
        return false;
    }
    require(is_harmless(input) && checkpoint::is_plain_file_name(input), "a name is plain");
    require(checkpoint::to_string(*name) == input, "a name prints as it was");
    require(name->number >= 0 && name->lineage >= 1 && name->suffix >= 1,
            "numbers in a name are in range");
    require((name->form == checkpoint::NameForm::kEmergency) == !name->utc_compact.empty(),
            "only an emergency name has a time");
    return true;
}

bool check_other_names(std::string_view input) {
    bool taken = false;
    if (const auto save_id = checkpoint::parse_pending_name(input)) {
        require(is_harmless(input) && checkpoint::pending_name(*save_id) == input,
                "a pending name prints as it was");
        taken = true;
    }
    if (const auto pool = checkpoint::parse_pool(input)) {
        require(checkpoint::to_string(*pool) == input, "a pool prints as it was");
        taken = true;
    }
    if (checkpoint::is_plain_file_name(input)) {
        require(is_harmless(input) && !input.starts_with('.'), "a plain name is harmless");
        taken = true;
    }
    if (checkpoint::is_sibling_run_name(input, "run")) {
        require(is_harmless(input), "the name of a sibling run is plain");
        taken = true;
    }
    return taken;
}

bool check_words(std::string_view input) {
    bool taken = false;
    if (const auto fragment = checkpoint::parse_fragment_name(input)) {
        require(fragment->element_begin <= fragment->element_end, "a fragment is not reversed");
        require(checkpoint::fragment_name(
                    fragment->name, fragment->element_begin, fragment->element_end) == input,
                "a fragment's name prints as it was");
        taken = true;
    }
    const auto request = checkpoint::parse_resume_request(input);
    if (request.ok()) {
        const auto again = checkpoint::parse_resume_request(checkpoint::to_string(request.value()));
        require(request.value().step >= 0, "a step to resume from is not negative");
        require(again.ok() && again.value().kind == request.value().kind &&
                    again.value().step == request.value().step &&
                    again.value().path == request.value().path,
                "a request to resume prints as it was meant");
    }
    return taken;
}

}  // namespace

bool check_names(std::string_view input) {
    const bool is_entry = check_entry_name(input);
    const bool is_other = check_other_names(input);
    return check_words(input) || is_entry || is_other;
}

std::vector<std::string> names_seeds() {
    using checkpoint::CheckpointName;
    using checkpoint::NameForm;
    return {
        checkpoint::to_string(CheckpointName{NameForm::kStep, 500, "", 1, 1}),
        checkpoint::to_string(CheckpointName{NameForm::kStep, 123456789, "", 12, 3}),
        checkpoint::to_string(CheckpointName{NameForm::kEmergency, 312, "20261122_140501", 2, 2}),
        checkpoint::to_string(CheckpointName{NameForm::kEpoch, 1, "", 1, 1}),
        checkpoint::pending_name("0123456789abcdef"),
        checkpoint::sibling_run_name("run", 1764000000),
        checkpoint::optimizer_file_name(1, 4),
        checkpoint::log_tail_name(2, "0123456789abcdef", 2),
        checkpoint::fragment_name("wte", 0, 16),
        "previous-best",
        "backup/rolling",
    };
}

}  // namespace holdfast::fuzz
