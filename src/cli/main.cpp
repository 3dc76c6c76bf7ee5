// The program: finds the command, runs it, and turns every way to end into a message and an exit
// code.
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include <sys/prctl.h>
#include <unistd.h>

#include <c10/util/Exception.h>
#include <c10/util/Logging.h>
#include <fmt/format.h>
#include <torch/version.h>

#include "base/build_info.h"
#include "base/log.h"
#include "base/process_usage.h"
#include "base/words.h"
#include "cli/command.h"
#include "config/option_help.h"
#include "config/option_table.h"

namespace holdfast::cli {

namespace {

constexpr std::array kCommands = {
    Command{"train", "train a model, or go on where it stopped", run_train},
    Command{"checkpoints",
            "list, verify, clean, copy, hash, or print the command that resumes",
            run_checkpoints},
    Command{"prepare", "turn text into token shards", run_prepare},
    Command{"sample", "write text with a trained model", run_sample},
    Command{"eval", "measure the loss of a checkpoint", run_eval},
    Command{
        "bench", "measure saving, loading and exchanging beside what the machine gives", run_bench},
    Command{"doctor", "prove this machine: devices, ranks, disk, limits", run_doctor},
};

void print_help() {
    fmt::print(
        "holdfast trains GPT-2 style models, and whatever stops it, goes on with the same bits.\n\n"
        "usage: holdfast COMMAND [options]\n\n");
    for (const Command& command : kCommands) {
        fmt::print("  {:<12} {}\n", command.name, command.summary);
    }
    fmt::print(
        "\n`holdfast COMMAND --help` explains a command. A first run:\n\n"
        "  holdfast prepare book.txt --out data/book --tokenizer bytes\n"
        "  holdfast train --config configs/shakespeare-cpu.json --train data/book --val data/book\n"
        "  holdfast train --config configs/shakespeare-cpu.json --resume latest\n"
        "  holdfast sample --checkpoint checkpoints/shakespeare-cpu\n");
}

void print_version() {
    const base::BuildInfo& info = base::build_info();
    fmt::print("holdfast {} (commit {}, libtorch {}, {} flavour, {}, {})\n",
               info.version,
               info.commit,
               TORCH_VERSION,
               info.flavour,
               info.build_type,
               info.compiler);
}

base::ExitCode dispatch(const std::vector<std::string>& words) {
    if (words.empty() || words.front() == "--help" || words.front() == "-h" ||
        words.front() == "help") {
        print_help();
        return words.empty() ? base::ExitCode::kUsage : base::ExitCode::kDone;
    }
    if (words.front() == "--version" || words.front() == "version") {
        print_version();
        return base::ExitCode::kDone;
    }
    if (words.front() == "config-docs") {  // how docs/config.md is made
        fmt::print("{}", config::config_docs(config::option_table()));
        return base::ExitCode::kDone;
    }
    const auto* found =
        std::find_if(kCommands.begin(), kCommands.end(), [&](const Command& command) {
            return command.name == words.front();
        });
    if (found == kCommands.end()) {
        std::vector<std::string> names;
        names.reserve(kCommands.size());
        for (const Command& command : kCommands) {
            names.emplace_back(command.name);
        }
        const auto nearest = base::nearest_word(words.front(), names);
        fail_usage(fmt::format("there is no command '{}'{}; `holdfast --help` lists them",
                               words.front(),
                               nearest ? fmt::format("; did you mean '{}'?", *nearest) : ""));
    }
    return found->run({words.begin() + 1, words.end()});
}

void print_error(std::string_view what) {
    base::set_live_line("");
    fmt::print(stderr, "holdfast: error: {}\n", what);
}

// Torch's messages carry a stack trace after the first lines; a person wants the first.
std::string first_line(std::string_view text) {
    return std::string(text.substr(0, text.find('\n')));
}

}  // namespace

base::ExitCode guarded_dispatch(const std::vector<std::string>& words) {
    try {
        return dispatch(words);
    } catch (const base::Failure& failure) {
        print_error(failure.what());
        return failure.exit_code();
    } catch (const std::bad_alloc&) {
        print_error(fmt::format(
            "out of memory; this process held {} at most: give it more; of a training run, a "
            "smaller batch.micro_batch or more model.recompute needs less (docs/performance.md "
            "has the formula)",
            base::bytes_in_words(base::process_usage().peak_resident_bytes)));
        return base::ExitCode::kOutOfMemory;
    } catch (const c10::OutOfMemoryError& error) {
        print_error(
            fmt::format("out of device memory: {}; try a smaller micro_batch or more recompute "
                        "(docs/performance.md has the formula)",
                        first_line(error.what_without_backtrace())));
        return base::ExitCode::kOutOfMemory;
    } catch (const c10::Error& error) {
        print_error(fmt::format("libtorch: {}", first_line(error.what_without_backtrace())));
        return base::ExitCode::kFailed;
    } catch (const std::exception& error) {
        print_error(error.what());
        return base::ExitCode::kFailed;
    }
}

}  // namespace holdfast::cli

namespace {

// ps and top show the file that was started, and of a rank that is /proc/self/exe.
void name_process(std::string_view path) {
    const std::string name(path.substr(path.rfind('/') + 1));
    // Its only error is an address that cannot be read.
    static_cast<void>(::prctl(PR_SET_NAME, name.c_str()));
}

}  // namespace

namespace {

// Memory may run out where no exception can pass: in a destructor that takes some, as that of the
// JSON library does, in whatever thread. Nothing can be saved then; what is published stays.
[[noreturn]] void end_by_terminate() {
    try {
        if (const std::exception_ptr failure = std::current_exception()) {
            std::rethrow_exception(failure);
        }
    } catch (const std::bad_alloc&) {
        static constexpr std::string_view kWords =
            "holdfast: error: out of memory, and none was left to save with; the newest published "
            "checkpoint is whole: give the process more memory and start again with --resume "
            "latest\n";
        // Nobody is left to tell when it cannot be written.
        static_cast<void>(::write(STDERR_FILENO, kWords.data(), kWords.size()) != 0);
        ::_exit(static_cast<int>(holdfast::base::ExitCode::kOutOfMemory));
    } catch (...) {
        std::abort();
    }
    std::abort();
}

}  // namespace

int main(int argc, char** argv) {
    std::set_terminate(end_by_terminate);
    // cuBLAS reads it when its first handle is made; without it its results may differ from run to
    // run.
    ::setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", 0);
    // What goes wrong between ranks is told by this program, in a line; what libtorch says about it
    // are stack traces.
    ::setenv("TORCH_CPP_LOG_LEVEL", "FATAL", 0);
    c10::initLogging();
    if (argc > 0) {
        holdfast::cli::set_program_name(argv[0]);
        name_process(argv[0]);
    }
    const std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
    const auto exit_code = holdfast::cli::guarded_dispatch(words);
    // Results on stdout count: a full disk or a closed pipe there is a failure of the command.
    if (std::fflush(stdout) != 0) {
        std::perror("holdfast: error: cannot write the results");
        return static_cast<int>(holdfast::base::ExitCode::kFailed);
    }
    return static_cast<int>(exit_code);
}
