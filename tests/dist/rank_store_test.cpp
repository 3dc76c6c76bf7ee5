#include "dist/rank_store.h"

#include <unistd.h>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast::dist {
namespace {

using testing::HasSubstr;

base::Result<std::unique_ptr<RankStore>> serve(const std::string& token) {
    return RankStore::open({.host = "127.0.0.1", .port = 0, .serves = true, .token = token});
}

TEST(RankStore, WhatOneRankSetsAnotherGets) {
    const auto server = serve("a");
    ASSERT_TRUE(server.ok()) << server.error().what;
    const auto client = server.value()->connect_again();
    ASSERT_TRUE(client.ok()) << client.error().what;
    ASSERT_TRUE(server.value()->set("key", "value").ok());
    EXPECT_EQ(client.value()->get("key", 5).value(), "value");
    EXPECT_EQ(client.value()->add("count", 2).value(), 2);
    EXPECT_EQ(server.value()->add("count", 3).value(), 5);
    ASSERT_TRUE(client.value()->erase("key").ok());
    EXPECT_FALSE(server.value()->try_get("key").value().has_value());
}

TEST(RankStore, AKeyThatDoesNotComeIsNotFoundAndTheConnectionLives) {
    const auto server = serve("a");
    ASSERT_TRUE(server.ok());
    const auto missing = server.value()->get("nothing", 0.2);
    ASSERT_FALSE(missing.ok());
    EXPECT_EQ(missing.error().kind, base::ErrorKind::kNotFound);
    ASSERT_TRUE(server.value()->set("nothing", "now").ok());
    EXPECT_EQ(server.value()->get("nothing", 0.2).value(), "now");
}

TEST(RankStore, AnotherRunsKeysAreNotSeen) {
    const auto server = serve("mine");
    ASSERT_TRUE(server.ok());
    StoreAddress stranger = server.value()->address();
    stranger.serves = false;
    stranger.token = "theirs";
    const auto other = RankStore::open(stranger);
    ASSERT_TRUE(other.ok()) << other.error().what;
    ASSERT_TRUE(server.value()->set("key", "value").ok());
    EXPECT_FALSE(other.value()->try_get("key").value().has_value());
}

TEST(RankStore, AServerThatIsNotThereIsToldWithinTheTimeout) {
    const auto bound = bind_socket("127.0.0.1", 0);  // a port that is free again
    ASSERT_TRUE(bound.ok());
    ::close(bound.value().fd);
    const auto client = RankStore::open({.host = "127.0.0.1",
                                         .port = bound.value().port,
                                         .serves = false,
                                         .token = "a",
                                         .connect_seconds = 0.5});
    ASSERT_FALSE(client.ok());
    EXPECT_EQ(client.error().kind, base::ErrorKind::kIo);
    EXPECT_EQ(client.error().what,
              fmt::format("cannot reach the store of the run at 127.0.0.1:{}: Connection refused",
                          bound.value().port));
}

TEST(RankStore, AHostWithoutAnAddressIsToldAsSuch) {
    const auto client = RankStore::open({.host = "no.such.host.invalid",
                                         .port = 29500,
                                         .serves = false,
                                         .token = "a",
                                         .connect_seconds = 0.5});
    ASSERT_FALSE(client.ok());
    EXPECT_THAT(client.error().what,
                HasSubstr("no.such.host.invalid:29500: 'no.such.host.invalid' has no address ("));
}

TEST(RankStore, WhoListensIsReachable) {
    const auto bound = bind_socket("127.0.0.1", 0);
    ASSERT_TRUE(bound.ok());
    EXPECT_EQ(why_unreachable("127.0.0.1", bound.value().port), "");
    ::close(bound.value().fd);
    EXPECT_EQ(why_unreachable("127.0.0.1", bound.value().port), "Connection refused");
}

TEST(RankStore, APortInUseSaysSo) {
    const auto first = bind_socket("127.0.0.1", 0);
    ASSERT_TRUE(first.ok());
    const auto second = bind_socket("127.0.0.1", first.value().port);
    ASSERT_FALSE(second.ok());
    EXPECT_THAT(second.error().what, HasSubstr("--master-port"));
    ::close(first.value().fd);
}

TEST(RankStore, TheStoreListensOnTheAddressItWasGiven) {
    const auto server = serve("a");
    ASSERT_TRUE(server.ok());
    // Another address of this machine is not served.
    const auto other = RankStore::open({.host = "127.0.0.2",
                                        .port = server.value()->address().port,
                                        .serves = false,
                                        .token = "a",
                                        .connect_seconds = 0.5});
    EXPECT_FALSE(other.ok());
}

TEST(RankStore, TheWayToLoopbackIsLoopback) {
    EXPECT_EQ(address_towards("127.0.0.1", 1).value(), "127.0.0.1");
    EXPECT_FALSE(address_towards("no.such.host.invalid", 1).ok());
}

}  // namespace
}  // namespace holdfast::dist
