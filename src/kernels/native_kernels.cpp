#include "kernels/kernels.h"

namespace holdfast::kernels {

std::unique_ptr<Kernels> make_kernels(at::Device device) {
    return make_aten_kernels(device);
}

}  // namespace holdfast::kernels
