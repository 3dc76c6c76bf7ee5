// The fuzzer: libFuzzer around one target.
//
//   holdfast_fuzz --target=NAME [libFuzzer's options and corpus folders]
//   holdfast_fuzz --list             the names of the targets
//   holdfast_fuzz --seeds=FOLDER     writes the seeds of every target to FOLDER/<target>/
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string_view>

#include <fmt/format.h>

#include "fuzz/fuzz_target.h"

namespace {

using holdfast::fuzz::FuzzTarget;

const FuzzTarget* chosen_target = nullptr;

void list_targets() {
    for (const FuzzTarget& target : holdfast::fuzz::all_fuzz_targets()) {
        fmt::print("{}\n", target.name);
    }
}

void write_seeds(const std::filesystem::path& folder) {
    for (const FuzzTarget& target : holdfast::fuzz::all_fuzz_targets()) {
        std::filesystem::create_directories(folder / target.name);
        int number = 0;
        for (const std::string& seed : target.seeds()) {
            std::ofstream(folder / target.name / fmt::format("seed-{}", number++), std::ios::binary)
                << seed;
        }
    }
}

}  // namespace

// libFuzzer itself passes over words that begin with "--".
extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
    constexpr std::string_view kTarget = "--target=";
    constexpr std::string_view kSeeds = "--seeds=";
    for (int i = 1; i < *argc; ++i) {
        const std::string_view word = (*argv)[i];
        if (word == "--list") {
            list_targets();
            std::exit(0);
        }
        if (word.starts_with(kSeeds)) {
            write_seeds(word.substr(kSeeds.size()));
            std::exit(0);
        }
        if (word.starts_with(kTarget)) {
            chosen_target = holdfast::fuzz::find_fuzz_target(word.substr(kTarget.size()));
        }
    }
    if (chosen_target == nullptr) {
        fmt::print(stderr, "--target=NAME must be one of these:\n");
        list_targets();
        std::exit(2);
    }
    return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    holdfast::fuzz::check_within_bound(*chosen_target,
                                       std::string_view(reinterpret_cast<const char*>(data), size));
    return 0;
}
