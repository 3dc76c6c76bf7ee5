#include "dist/socket_bytes.h"

#include <algorithm>
#include <cstddef>

// The C library's own tcp_info has no byte counts.
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>

namespace holdfast::dist {

namespace {

constexpr rlim_t kDescriptorsMax = 65536;

}  // namespace

std::optional<std::int64_t> sent_socket_bytes() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return std::nullopt;
    }
    const auto end = static_cast<int>(std::min(limit.rlim_cur, kDescriptorsMax));
    std::int64_t sum = 0;
    for (int descriptor = 0; descriptor < end; ++descriptor) {
        tcp_info info{};
        socklen_t size = sizeof(info);
        if (::getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) {
            continue;  // nothing open, or no connection of TCP
        }
        if (size < offsetof(tcp_info, tcpi_bytes_sent) + sizeof(info.tcpi_bytes_sent)) {
            return std::nullopt;
        }
        sum += static_cast<std::int64_t>(info.tcpi_bytes_sent);
    }
    return sum;
}

}  // namespace holdfast::dist
