#include "dist/socket_bytes.h"

#include <string>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "dist/listening_socket.h"

namespace holdfast::dist {
namespace {

TEST(SocketBytes, CountsWhatIsSentAndNotWhatIsReceived) {
    const auto listening = listen_on_loopback(0);
    ASSERT_TRUE(listening.ok()) << listening.error().what;
    const OwnedDescriptor client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(listening.value().port));
    ASSERT_EQ(::connect(client.number(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    OwnedDescriptor server(
        ::accept4(listening.value().descriptor.number(), nullptr, nullptr, SOCK_CLOEXEC));
    ASSERT_TRUE(server.is_open());

    const auto before = sent_socket_bytes();
    if (!before) {
        GTEST_SKIP() << "this kernel does not count";
    }
    const std::string message(10'000, 'x');
    std::string received(message.size(), ' ');
    for (int i = 0; i < 10; ++i) {
        ASSERT_EQ(::send(client.number(), message.data(), message.size(), 0), 10'000);
        ASSERT_EQ(::recv(server.number(), received.data(), received.size(), MSG_WAITALL), 10'000);
    }
    // What the other end received went with it.
    server.close();
    EXPECT_EQ(sent_socket_bytes(), *before + 100'000);
}

}  // namespace
}  // namespace holdfast::dist
