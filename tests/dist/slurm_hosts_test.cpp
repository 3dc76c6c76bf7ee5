#include "dist/slurm_hosts.h"

#include <gtest/gtest.h>

namespace holdfast::dist {
namespace {

TEST(SlurmHosts, TakesTheFirstHostOfEachForm) {
    EXPECT_EQ(first_slurm_host("a"), "a");
    EXPECT_EQ(first_slurm_host("node-1.cluster_x"), "node-1.cluster_x");
    EXPECT_EQ(first_slurm_host("a[1-3,7]"), "a1");
    EXPECT_EQ(first_slurm_host("a[7,1-3]"), "a7");
    EXPECT_EQ(first_slurm_host("a1,b2"), "a1");
    EXPECT_EQ(first_slurm_host("a[001-128]"), "a001");
    EXPECT_EQ(first_slurm_host("a[3-4]-ib,b1"), "a3-ib");
    EXPECT_EQ(first_slurm_host("r[01-02]n[3-4]"), "r01n3");
    EXPECT_EQ(first_slurm_host("a[1-2],b[3-4]"), "a1");
}

TEST(SlurmHosts, RefusesWhatIsNoList) {
    for (const char* text :
         {"", ",a", "a[1-3", "a[]", "a[-3]", "a[x]", "a b", "a1]", "a;reboot", "[", "a[1,[2]"}) {
        EXPECT_EQ(first_slurm_host(text), std::nullopt) << text;
    }
}

}  // namespace
}  // namespace holdfast::dist
