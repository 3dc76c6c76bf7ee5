// Token shards for tests, written byte by byte without the code under test.
#pragma once

#include <cstdint>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace holdfast::data {

template <typename T>
std::string bytes_of(const std::vector<T>& values) {
    std::string bytes(values.size() * sizeof(T), '\0');
    if (!bytes.empty()) {
        std::memcpy(bytes.data(), values.data(), bytes.size());
    }
    return bytes;
}

inline void write_bytes(const std::string& path, const std::string& bytes) {
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file << bytes;
    file.close();
    ASSERT_TRUE(file.good()) << path;
}

inline std::string llmc_header(std::uint32_t magic, std::uint32_t version, std::uint32_t count) {
    std::vector<std::uint32_t> header(256, 0);
    header[0] = magic;
    header[1] = version;
    header[2] = count;
    return bytes_of(header);
}

inline void write_llmc_shard(const std::string& path, const std::vector<std::uint16_t>& tokens) {
    write_bytes(
        path,
        llmc_header(20240520, 1, static_cast<std::uint32_t>(tokens.size())) + bytes_of(tokens));
}

// begin, begin + 1, ... so that a token tells where it stood.
inline std::vector<std::uint16_t> counting_tokens(std::uint16_t begin, std::size_t count) {
    std::vector<std::uint16_t> tokens(count);
    for (std::size_t i = 0; i < count; ++i) {
        tokens[i] = static_cast<std::uint16_t>(begin + i);
    }
    return tokens;
}

}  // namespace holdfast::data
