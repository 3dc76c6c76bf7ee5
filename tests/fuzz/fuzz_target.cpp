#include "fuzz/fuzz_target.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "fuzz/allocation_meter.h"

namespace holdfast::fuzz {

namespace {

// About twice the most that was seen. The dearest JSON is a list of small values, "[0,0,0", whose
// vector doubles and of which a printer makes a second one: 38 bytes for each byte. The dearest
// bytes are ill-formed ones for the tokenizer, each of which becomes three: 63.
constexpr std::size_t kJson = 80;
constexpr std::size_t kBytes = 128;

constexpr std::array kTargets{
    FuzzTarget{"manifest", check_manifest, manifest_seeds, kJson},
    FuzzTarget{"part_record", check_part_record, part_record_seeds, kJson},
    FuzzTarget{"run_identity", check_run_identity, run_identity_seeds, kJson},
    FuzzTarget{"safetensors", check_safetensors, safetensors_seeds, kJson},
    FuzzTarget{"checkpoint_reader", check_checkpoint_reader, checkpoint_reader_seeds, kJson},
    FuzzTarget{"names", check_names, names_seeds, kBytes},
    FuzzTarget{"token_shard", check_token_shard, token_shard_seeds, kBytes},
    FuzzTarget{"shard_files", check_shard_files, shard_files_seeds, kJson},
    FuzzTarget{"dataset_sidecar", check_dataset_sidecar, dataset_sidecar_seeds, kJson},
    FuzzTarget{"text_source", check_text_source, text_source_seeds, kJson},
    FuzzTarget{"step_metrics", check_step_metrics, step_metrics_seeds, kJson},
    FuzzTarget{"config_file", check_config_file, config_file_seeds, kJson},
    FuzzTarget{"option_text", check_option_text, option_text_seeds, kJson},
    FuzzTarget{"launch_environment", check_launch_environment, launch_environment_seeds, kBytes},
    FuzzTarget{"tokenizer", check_tokenizer, tokenizer_seeds, kBytes},
    FuzzTarget{"encoder", check_encoder, tokenizer_seeds, kBytes},
};

bool is_control(char character) {
    return static_cast<unsigned char>(character) < 0x20 || character == 0x7F;
}

}  // namespace

void require_one_line(const base::Error& error) {
    constexpr std::size_t kMessageBytesMax = 2000;
    require(!error.what.empty(), "an error has a message");
    require(std::none_of(error.what.begin(), error.what.end(), is_control),
            "a message is one line without control characters");
    require(error.what.size() <= kMessageBytesMax, "a message does not repeat the whole input");
}

std::span<const FuzzTarget> all_fuzz_targets() {
    return kTargets;
}

const FuzzTarget* find_fuzz_target(std::string_view name) {
    const auto* found = std::find_if(kTargets.begin(),
                                     kTargets.end(),
                                     [&](const FuzzTarget& target) { return target.name == name; });
    return found == kTargets.end() ? nullptr : found;
}

bool check_within_bound(const FuzzTarget& target, std::string_view input) {
    // A target makes some things once and keeps them: a vocabulary, the table of options.
    static std::string_view made_for;
    if (made_for != target.name) {
        static_cast<void>(target.check({}));
        made_for = target.name;
    }
    const AllocationMeter meter;
    const bool taken = target.check(input);
    const std::size_t bytes_max = kBytesForAnyInput + target.bytes_per_input_byte * input.size();
    require(meter.peak_bytes() <= bytes_max,
            fmt::format("{} bytes of input took {} bytes, more than {}",
                        input.size(),
                        meter.peak_bytes(),
                        bytes_max));
    return taken;
}

}  // namespace holdfast::fuzz
