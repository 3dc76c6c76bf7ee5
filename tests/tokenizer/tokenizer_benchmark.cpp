// Encoding speed on one thread: tokenizer_benchmark FILE [benchmark options].
#include <fstream>
#include <iostream>
#include <sstream>

#include <benchmark/benchmark.h>

#include "tokenizer/tokenizer.h"

namespace {

// `cold`: a new cache each time.
void encode(benchmark::State& state, const std::string& text, bool cold) {
    const auto tokenizer = holdfast::tokenizer::make_tokenizer("gpt2");
    auto encoder = tokenizer.value()->make_encoder();
    std::vector<std::uint32_t> ids;
    for (auto _ : state) {
        if (cold) {
            encoder = tokenizer.value()->make_encoder();
        }
        ids.clear();
        encoder->encode_ordinary(text, ids);
        benchmark::DoNotOptimize(ids.data());
    }
    state.SetBytesProcessed(static_cast<std::int64_t>(text.size()) * state.iterations());
    state.counters["tokens"] = static_cast<double>(ids.size());
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2) {
        std::cerr << "usage: tokenizer_benchmark FILE [benchmark options]\n";
        return 2;
    }
    std::ostringstream text;
    text << std::ifstream(argv[1], std::ios::binary).rdbuf();
    benchmark::RegisterBenchmark("gpt2/cold", encode, text.str(), true)
        ->Unit(benchmark::kMillisecond);
    benchmark::RegisterBenchmark("gpt2/warm", encode, text.str(), false)
        ->Unit(benchmark::kMillisecond);
    benchmark::Initialize(&argc, argv);
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}
