// A fuzz target: one parser of what comes from outside, with what must hold for every input.
//
// The same checks run in two programs: under libFuzzer on inputs it makes up (fuzz_main.cpp), and
// in a test over the committed corpus (corpus_replay_test.cpp), which every build has.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fuzz/property.h"

namespace holdfast::fuzz {

// "tests/fuzz/corpus/<name>" holds the inputs of the target.
struct FuzzTarget {
    std::string_view name;
    // Whether the parser took the input. Throws Broken, or ends the process, when something does
    // not hold.
    bool (*check)(std::string_view input);
    // Inputs that are taken, made by the printers of the formats themselves.
    std::vector<std::string> (*seeds)();
    // The most memory that check() may hold at once for each byte of input.
    std::size_t bytes_per_input_byte;
};

std::span<const FuzzTarget> all_fuzz_targets();

// Null when there is none of that name.
const FuzzTarget* find_fuzz_target(std::string_view name);

// check() under the allocation bound: bytes_per_input_byte for each byte of input, and
// kBytesForAnyInput.
inline constexpr std::size_t kBytesForAnyInput = std::size_t{1} << 20U;
bool check_within_bound(const FuzzTarget& target, std::string_view input);

bool check_manifest(std::string_view input);
std::vector<std::string> manifest_seeds();
bool check_part_record(std::string_view input);
std::vector<std::string> part_record_seeds();
bool check_run_identity(std::string_view input);
std::vector<std::string> run_identity_seeds();
bool check_safetensors(std::string_view input);
std::vector<std::string> safetensors_seeds();
bool check_checkpoint_reader(std::string_view input);
std::vector<std::string> checkpoint_reader_seeds();
bool check_names(std::string_view input);
std::vector<std::string> names_seeds();
bool check_token_shard(std::string_view input);
std::vector<std::string> token_shard_seeds();
bool check_shard_files(std::string_view input);
std::vector<std::string> shard_files_seeds();
bool check_dataset_sidecar(std::string_view input);
std::vector<std::string> dataset_sidecar_seeds();
bool check_text_source(std::string_view input);
std::vector<std::string> text_source_seeds();
bool check_step_metrics(std::string_view input);
std::vector<std::string> step_metrics_seeds();
bool check_config_file(std::string_view input);
std::vector<std::string> config_file_seeds();
bool check_option_text(std::string_view input);
std::vector<std::string> option_text_seeds();
bool check_launch_environment(std::string_view input);
std::vector<std::string> launch_environment_seeds();
bool check_tokenizer(std::string_view input);
bool check_encoder(std::string_view input);
std::vector<std::string> tokenizer_seeds();

}  // namespace holdfast::fuzz
