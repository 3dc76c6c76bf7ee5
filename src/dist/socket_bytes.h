// What the TCP connections of this process have sent, by the kernel's own count.
#pragma once

#include <cstdint>
#include <optional>

namespace holdfast::dist {

// Payload bytes sent so far by the connections that are open now, retransmissions included
// (tcpi_bytes_sent of tcp(7)). Nothing where the kernel does not count them. Asks of every
// descriptor: milliseconds. Any thread.
std::optional<std::int64_t> sent_socket_bytes();

}  // namespace holdfast::dist
