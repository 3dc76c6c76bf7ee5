// Of which model's size a bench measures: asked for in bytes, by a config, or GPT-2 124M as far as
// there is room.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "config/command_line.h"
#include "config/settings.h"

namespace holdfast::cli {

// What the kernel would give without swapping; nothing where it does not say.
std::optional<std::uint64_t> available_memory_bytes();

// By --bytes or --config of `line` (throws base::Failure, usage, for both, for a size below 1 MB
// and for a config that cannot be read); else GPT-2 124M, or the largest model below it whose bytes
// has_room() takes, which a line on the log says unless `is_quiet`. `bytes_per_element`: what the
// bytes are counted in.
model::GptConfig choose_bench_shape(const config::CommandLine& line,
                                    std::int64_t bytes_per_element,
                                    const std::function<bool(std::uint64_t bytes)>& has_room,
                                    bool is_quiet = false);

// The settings of --config; the defaults without one. Throws as above, also when --bytes is there
// too.
config::Settings bench_settings(const config::CommandLine& line);

}  // namespace holdfast::cli
