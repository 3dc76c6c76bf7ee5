#include "state/run_position.h"

namespace holdfast::state {

std::vector<StreamProbeValue> probe_streams(std::uint64_t seed) {
    using base::RandomStream;
    return {{"initialisation", base::probe_value(seed, RandomStream::kInitialisation)},
            {"data_order", base::probe_value(seed, RandomStream::kDataOrder)},
            {"dropout", base::probe_value(seed, RandomStream::kDropout)},
            {"sampling", base::probe_value(seed, RandomStream::kSampling)}};
}

}  // namespace holdfast::state
