#include "dist/listening_socket.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast::dist {
namespace {

bool connects(int port) {
    const OwnedDescriptor client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    return ::connect(client.number(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
}

TEST(ListeningSocket, ListensAtAFreePortAndTellsIt) {
    auto socket = listen_on_loopback(0);
    ASSERT_TRUE(socket.ok()) << socket.error().what;
    EXPECT_GT(socket.value().port, 0);
    EXPECT_TRUE(connects(socket.value().port));
    EXPECT_EQ(::fcntl(socket.value().descriptor.number(), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    socket.value().descriptor.close();
    EXPECT_FALSE(connects(socket.value().port));
}

TEST(ListeningSocket, APortThatIsTakenIsBusy) {
    const auto first = listen_on_loopback(0);
    ASSERT_TRUE(first.ok());
    const auto second = listen_on_loopback(first.value().port);
    ASSERT_FALSE(second.ok());
    EXPECT_EQ(second.error().kind, base::ErrorKind::kBusy);
    EXPECT_THAT(second.error().what, testing::HasSubstr(std::to_string(first.value().port)));
    EXPECT_THAT(second.error().what, testing::HasSubstr("choose another --master-port"));
}

TEST(ListeningSocket, APortIsFreeAgainAfterItsLastRun) {
    auto first = listen_on_loopback(0);
    ASSERT_TRUE(first.ok());
    const int port = first.value().port;
    {
        const OwnedDescriptor client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address.sin_port = htons(static_cast<std::uint16_t>(port));
        ASSERT_EQ(::connect(client.number(), reinterpret_cast<sockaddr*>(&address), sizeof address),
                  0);
        // The side that closes first keeps the connection for a while.
        const OwnedDescriptor server(::accept(first.value().descriptor.number(), nullptr, nullptr));
        ASSERT_TRUE(server.is_open());
        ASSERT_EQ(::shutdown(server.number(), SHUT_RDWR), 0);
    }
    first.value().descriptor.close();
    const auto second = listen_on_loopback(port);
    EXPECT_TRUE(second.ok()) << second.error().what;
}

}  // namespace
}  // namespace holdfast::dist
