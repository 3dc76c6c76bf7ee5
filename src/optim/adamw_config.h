// Numbers of AdamW (Loshchilov and Hutter, "Decoupled weight decay regularization",
// arXiv:1711.05101).
#pragma once

#include "base/result.h"

namespace holdfast::optim {

struct AdamWConfig {
    double learning_rate = 6e-4;  // the peak of the schedule
    double weight_decay = 0.1;    // of matrices and embeddings; biases and norms have none
    double beta1 = 0.9;
    double beta2 = 0.95;
    double epsilon = 1e-8;
    double grad_clip = 1.0;  // global norm; 0 switches clipping off

    // kInvalid with the key, the value and what would do.
    [[nodiscard]] base::Status validate() const;
};

}  // namespace holdfast::optim
