#include "cli/many_ranks.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace holdfast::cli {

std::vector<std::string> ManyRanks::with(std::vector<std::string> options,
                                         const std::vector<std::string>& more) {
    options.insert(options.end(), more.begin(), more.end());
    return options;
}

std::vector<std::string> ManyRanks::options_of(int ranks, const std::vector<std::string>& more) {
    return with({"--nproc-per-node", std::to_string(ranks)}, options_of_each(more));
}

// As many sequences as four lanes share.
std::vector<std::string> ManyRanks::options_of_each(const std::vector<std::string>& more) {
    return with({"--threads",
                 "1",
                 "--lanes",
                 "4",
                 "--micro-batch",
                 "3",
                 "--max-steps",
                 "50",
                 "--set",
                 "schedule.steps=50"},
                more);
}

void ManyRanks::configure_ranks(const std::string& count) const {
    std::string text = read_text(config_path_);
    const std::string before = "\"checkpoint\":";
    text.insert(text.find(before), "\"dist\": {\"nproc_per_node\": " + count + "},\n  ");
    write_text(config_path_, text);
}

std::string free_port() {
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size), 0);
    ::close(fd);
    return std::to_string(ntohs(address.sin_port));
}

}  // namespace holdfast::cli
