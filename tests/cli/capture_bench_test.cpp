// What `bench checkpoint` calls a copy moves the bytes that a capture moves.
#include "cli/capture_bench.h"

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include <gtest/gtest.h>

namespace holdfast::cli {
namespace {

class CaptureBenchTest : public testing::Test {
protected:
    static model::ArenaLayout layout() {
        model::GptConfig config;
        config.n_layer = 2;
        config.n_head = 1;
        config.n_embd = 16;
        config.block_size = 8;
        config.vocab_size = 31;
        return {config, 1};
    }
    // The weights and both moments, in the snapshot's memory.
    std::vector<std::span<std::byte>> arenas() {
        std::vector<std::span<std::byte>> arenas;
        for (const auto& tensors :
             {bench_.snapshot().model_tensors(), bench_.snapshot().optimizer_tensors()}) {
            for (const state::TensorBytes& tensor : tensors) {
                if (tensor.name != "update_count") {
                    arenas.push_back(tensor.bytes);
                }
            }
        }
        return arenas;
    }
    std::vector<std::byte> bytes() {
        std::vector<std::byte> bytes;
        for (const std::span<std::byte> arena : arenas()) {
            bytes.insert(bytes.end(), arena.begin(), arena.end());
        }
        return bytes;
    }
    void clear() {
        for (const std::span<std::byte> arena : arenas()) {
            std::fill(arena.begin(), arena.end(), std::byte{0});
        }
    }

    CaptureBench bench_{layout()};
};

TEST_F(CaptureBenchTest, EveryCopyMovesWhatACaptureMoves) {
    EXPECT_GT(bench_.capture(), 0);
    const std::vector<std::byte> captured = bytes();
    clear();
    ASSERT_NE(bytes(), captured);
    EXPECT_GT(bench_.copy_by_one_thread(), 0);
    EXPECT_EQ(bytes(), captured);
    clear();
    EXPECT_GT(bench_.copy_by_all_threads(), 0);
    EXPECT_EQ(bytes(), captured);
}

}  // namespace
}  // namespace holdfast::cli
