#include "cli/bench_size.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/log.h"
#include "base/words.h"
#include "cli/command.h"
#include "cli/option_numbers.h"
#include "cli/train_request.h"
#include "config/resolve.h"
#include "fs/durable_write.h"
#include "fs/real_file_system.h"

namespace holdfast::cli {

namespace {

constexpr std::int64_t kBytesMin = 1'000'000;

model::GptConfig gpt2_124m() {
    model::GptConfig shape;
    shape.n_layer = 12;
    shape.n_head = 12;
    shape.n_embd = 768;
    shape.block_size = 1024;
    shape.vocab_size = 50257;
    return shape;
}

// A model of about so many elements: the blocks have two thirds of it, as in GPT-2 124M, and the
// embedding takes the rest.
model::GptConfig shape_of_elements(std::int64_t elements) {
    model::GptConfig shape;
    shape.n_embd = elements > 20'000'000 ? 768 : 64;
    shape.n_head = shape.n_embd / 64;
    shape.block_size = shape.n_embd == 768 ? 1024 : 64;
    const std::int64_t block = 12 * shape.n_embd * shape.n_embd + 13 * shape.n_embd;
    shape.n_layer = std::max<std::int64_t>(1, elements * 2 / 3 / block);
    const std::int64_t left = elements - shape.n_layer * block - shape.block_size * shape.n_embd;
    shape.vocab_size = std::max<std::int64_t>(64, left / shape.n_embd);
    return shape;
}

model::GptConfig shape_of_config(const config::CommandLine& line) {
    const config::Settings settings = bench_settings(line);
    model::GptConfig shape = settings.model;
    if (shape.vocab_size == 0) {
        shape.vocab_size = settings.data.tokenizer == "bytes" ? 256 : 50257;
    }
    if (const base::Status valid = shape.validate(); !valid.ok()) {
        fail(valid.error());
    }
    return shape;
}

}  // namespace

std::optional<std::uint64_t> available_memory_bytes() {
    auto file = fs::real_file_system().open("/proc/meminfo", {});
    if (!file.ok()) {
        return std::nullopt;
    }
    std::string text(1024, '\0');
    const auto count = file.value()->read_at(std::as_writable_bytes(std::span(text)), 0);
    const std::string_view key = "MemAvailable:";
    const std::size_t begin = count.ok() ? text.find(key) : std::string::npos;
    const std::size_t number = text.find_first_not_of(' ', begin + key.size());
    if (begin == std::string::npos || number == std::string::npos) {
        return std::nullopt;
    }
    const auto kibibytes =
        base::parse_count(std::string_view(text).substr(number, text.find(' ', number) - number));
    return kibibytes ? std::optional(static_cast<std::uint64_t>(*kibibytes) * 1024) : std::nullopt;
}

config::Settings bench_settings(const config::CommandLine& line) {
    if (line.has("bytes") && line.has("config")) {
        fail_usage("--bytes and --config both say how large the model is: give one");
    }
    if (!line.has("config")) {
        return {};
    }
    const std::string path = line.value("config");
    auto text = fs::read_file(fs::real_file_system(), path, kConfigBytesMax);
    if (!text.ok()) {
        fail_usage(text.error().what);
    }
    return value_or_fail(config::resolve_settings(std::pair{path, text.value()}, {}, {})).settings;
}

model::GptConfig choose_bench_shape(const config::CommandLine& line,
                                    std::int64_t bytes_per_element,
                                    const std::function<bool(std::uint64_t bytes)>& has_room,
                                    bool is_quiet) {
    if (line.has("bytes") && !line.has("config")) {
        return shape_of_elements(count_option(line, "bytes", "", kBytesMin) / bytes_per_element);
    }
    if (line.has("config")) {
        return shape_of_config(line);
    }
    const model::GptConfig shape = gpt2_124m();
    const auto wanted = static_cast<std::uint64_t>(shape.parameter_count() * bytes_per_element);
    std::uint64_t fitting = wanted;
    while (fitting > static_cast<std::uint64_t>(kBytesMin) && !has_room(fitting)) {
        fitting -= fitting / 8;
    }
    if (fitting == wanted) {
        return shape;
    }
    if (!is_quiet) {
        base::log_warning("memory or disk is short: measuring {} instead of GPT-2 124M's {}",
                          base::bytes_in_words(fitting),
                          base::bytes_in_words(wanted));
    }
    return shape_of_elements(static_cast<std::int64_t>(fitting) / bytes_per_element);
}

}  // namespace holdfast::cli
