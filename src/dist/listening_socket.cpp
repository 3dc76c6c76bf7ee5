#include "dist/listening_socket.h"

#include <cerrno>
#include <cstdint>
#include <utility>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <fmt/format.h>

namespace holdfast::dist {

using base::Error;
using base::ErrorKind;
using base::Result;

namespace {

Error socket_error(const char* verb, int port, int os_errno) {
    Error error = base::error_from_errno(verb, fmt::format("127.0.0.1 port {}", port), os_errno);
    if (os_errno == EADDRINUSE) {
        error.kind = ErrorKind::kBusy;
        error.what += "; choose another --master-port, or 0 for any free one";
    }
    return error;
}

// The socket calls take every family of address through the one type.
sockaddr* generic(sockaddr_in& address) {
    return reinterpret_cast<sockaddr*>(&address);
}

}  // namespace

Result<ListeningSocket> listen_on_loopback(int port) {
    OwnedDescriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!socket.is_open()) {
        return socket_error("open a socket for", port, errno);
    }
    Result<OwnedDescriptor> placed = above_standard(std::move(socket));
    if (!placed.ok()) {
        return placed.error();
    }
    OwnedDescriptor descriptor = std::move(placed).value();
    // A port whose last run has just ended still has connections that fade away.
    const int yes = 1;
    if (::setsockopt(descriptor.number(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0) {
        return socket_error("set up a socket for", port, errno);
    }
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    if (::bind(descriptor.number(), generic(address), sizeof address) != 0) {
        return socket_error("bind", port, errno);
    }
    if (::listen(descriptor.number(), SOMAXCONN) != 0) {
        return socket_error("listen on", port, errno);
    }
    socklen_t address_bytes = sizeof address;
    if (::getsockname(descriptor.number(), generic(address), &address_bytes) != 0) {
        return socket_error("ask for the address of", port, errno);
    }
    return ListeningSocket{std::move(descriptor), ntohs(address.sin_port)};
}

}  // namespace holdfast::dist
