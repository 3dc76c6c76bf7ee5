// holdfast sample: text from a checkpoint, written as it comes.
#include <array>
#include <cstdio>
#include <optional>

#include <fmt/format.h>

#include "cli/command.h"
#include "cli/loaded_model.h"
#include "cli/option_numbers.h"
#include "model/generation.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/utf8.h"
#include "train/stop_request.h"

namespace holdfast::cli {

namespace {

const std::array kSampleOptions = {
    config::CommandOption{"checkpoint", "X", "a checkpoint, or a run directory (then its newest)"},
    config::CommandOption{"prompt", "TEXT", "what to go on from; default: the start of a document"},
    config::CommandOption{"tokens", "N", "most tokens to write; default 400", "n"},
    config::CommandOption{"temperature", "F", "0 takes the likeliest token each time; default 0.8"},
    config::CommandOption{"top-k", "K", "draw from the K likeliest tokens; 0: all; default 200"},
    config::CommandOption{"top-p", "P", "draw from the likeliest tokens that make up P; default 1"},
    config::CommandOption{"seed", "N", "the same seed writes the same text; default 1337"},
    config::CommandOption{"device", "NAME", "auto, cpu or cuda; default auto"},
    config::CommandOption{"threads", "N", "default: those of the run"},
    config::CommandOption{"help", "", "this text", "h"},
};

constexpr std::string_view kSampleHelp =
    "usage: holdfast sample --checkpoint X [--prompt TEXT] [options]\n\n"
    "Writes text to stdout as it is drawn, until the model ends the document or N tokens are "
    "written.\n\n";

void write_out(std::string_view text) {
    if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() ||
        std::fflush(stdout) != 0) {
        throw base::Failure(base::ExitCode::kFailed, "cannot write to stdout");
    }
}

model::SamplerConfig sampler_config(const config::CommandLine& line) {
    model::SamplerConfig sampler;
    sampler.temperature = real_option(line, "temperature", "0.8");
    sampler.top_k = count_option(line, "top-k", "200");
    sampler.top_p = real_option(line, "top-p", "1");
    sampler.seed = static_cast<std::uint64_t>(count_option(line, "seed", "1337"));
    const base::Status valid = sampler.validate();
    if (!valid.ok()) {
        fail(valid.error());
    }
    return sampler;
}

}  // namespace

base::ExitCode run_sample(const std::vector<std::string>& arguments) {
    const config::CommandLine line =
        value_or_fail(config::parse_command_line(nullptr, kSampleOptions, arguments));
    if (line.has("help")) {
        print_command_help(kSampleHelp, kSampleOptions);
        return base::ExitCode::kDone;
    }
    if (!line.has("checkpoint")) {
        fail_usage("sample needs --checkpoint X, a checkpoint or a run directory");
    }
    const model::SamplerConfig sampler = sampler_config(line);
    const std::int64_t tokens_max = count_option(line, "tokens", "400", 1);
    LoadedModel loaded = load_model(line.value("checkpoint"),
                                    line.value("device", "auto"),
                                    count_option(line, "threads", "0"),
                                    1);
    const auto tokenizer = value_or_fail(tokenizer::make_tokenizer(loaded.settings.data.tokenizer));

    const std::string prompt = line.value("prompt");
    std::vector<std::uint32_t> prompt_ids;
    if (prompt.empty()) {
        prompt_ids.push_back(tokenizer->end_of_text());
    } else {
        tokenizer->encode_ordinary(prompt, prompt_ids);
        write_out(prompt);
    }
    const train::StopRequest stop;
    tokenizer::Utf8StreamDecoder decoder;
    const auto on_token = [&](std::int32_t token) {
        const auto id = static_cast<std::uint32_t>(token);
        if (id == tokenizer->end_of_text()) {
            return false;
        }
        std::string bytes;
        const base::Status decoded = tokenizer->decode({&id, 1}, bytes);
        if (!decoded.ok()) {
            fail(decoded.error());
        }
        std::string text;
        decoder.append(bytes, text);
        write_out(text);
        return !stop.stop_asked();
    };
    model::Generation generation(*loaded.gpt);
    static_cast<void>(value_or_fail(
        generation.generate(std::vector<std::int32_t>(prompt_ids.begin(), prompt_ids.end()),
                            tokens_max,
                            sampler,
                            static_cast<std::int32_t>(tokenizer->end_of_text()),
                            on_token)));
    std::string rest;
    decoder.finish(rest);
    write_out(rest + "\n");
    return stop.signal() ? train::StopRequest::exit_code_of(*stop.signal()) : base::ExitCode::kDone;
}

}  // namespace holdfast::cli
