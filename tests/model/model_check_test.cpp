#include "model/model_check.h"

#include <gtest/gtest.h>

namespace holdfast::model {
namespace {

TEST(ModelCheck, FindsNothingOnTheCpu) {
    const base::Status status = self_check(c10::Device(c10::kCPU));
    EXPECT_TRUE(status.ok()) << status.error().what;
}

}  // namespace
}  // namespace holdfast::model
