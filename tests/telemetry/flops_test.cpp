#include "telemetry/flops.h"

#include <gtest/gtest.h>

namespace holdfast::telemetry {
namespace {

TEST(Flops, Gpt2SmallCosts860MillionATokenAtItsFullContext) {
    EXPECT_NEAR(flops_per_token(124'439'808, 12, 768, 1024), 0.8599e9, 1e5);
}

TEST(Flops, DevicesAreKnownByTheDriversNames) {
    EXPECT_EQ(device_peak_flops("NVIDIA A100-SXM4-80GB"), 312e12);
    EXPECT_EQ(device_peak_flops("NVIDIA A100-PCIE-40GB"), 312e12);
    EXPECT_EQ(device_peak_flops("NVIDIA H100 80GB HBM3"), 989.4e12);
    EXPECT_EQ(device_peak_flops("NVIDIA H100 PCIe"), 756e12);
    EXPECT_EQ(device_peak_flops("NVIDIA H200"), 989.4e12);
    EXPECT_EQ(device_peak_flops("NVIDIA B200"), 2250e12);
    EXPECT_NEAR(device_peak_flops("NVIDIA GeForce RTX 4090").value_or(0), 165.2e12, 0.1e12);
    EXPECT_NEAR(device_peak_flops("NVIDIA GeForce RTX 4060").value_or(0), 30.2e12, 0.1e12);
    EXPECT_NEAR(
        device_peak_flops("NVIDIA GeForce RTX 4060 Laptop GPU").value_or(0), 29.1e12, 0.1e12);
    EXPECT_NEAR(device_peak_flops("NVIDIA GeForce RTX 5060 Ti").value_or(0), 47.4e12, 0.1e12);
    EXPECT_NEAR(device_peak_flops("NVIDIA GeForce RTX 3090").value_or(0), 71.2e12, 0.1e12);
    EXPECT_NEAR(device_peak_flops("NVIDIA GeForce RTX 5090").value_or(0), 209.5e12, 0.1e12);
}

TEST(Flops, AnUnknownDeviceOrASliceHasNoPeak) {
    EXPECT_FALSE(device_peak_flops("NVIDIA GeForce RTX 4060 Mobile Special"));
    EXPECT_FALSE(device_peak_flops("NVIDIA A100-SXM4-40GB MIG 1g.5gb"));
    EXPECT_FALSE(device_peak_flops("Tesla T4"));
    EXPECT_FALSE(device_peak_flops(""));
}

TEST(Flops, UtilisationIsOfAllDevices) {
    EXPECT_DOUBLE_EQ(model_flops_utilisation(1e9, 1e5, 1e14, 2), 0.5);
}

}  // namespace
}  // namespace holdfast::telemetry
