// Adds the parts of ranks in the fixed tree of lanes (promise P4).
//
// The tree over `n` parts: the first 2^k of them, with 2^k the largest power of two below n, are
// one subtree, the rest is the other; each is added the same way, then the right one to the left
// one. It is the tree in which train/lane_tree adds lanes, so parts that are sums of whole subtrees
// of lanes give the bits that one rank with all lanes would get. Pure; one thread; on a GPU only
// enqueues.
#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

namespace holdfast::dist {

// `parts` are of one shape and dtype; parts[0] holds the sum afterwards, the others scratch.
void sum_tree(std::vector<at::Tensor>& parts);

// The rank counts among which `lanes` lanes can be shared so that each rank computes one whole
// subtree of the tree: 1, and lanes / 2^k for every 2^k that divides lanes. Ascending.
std::vector<std::int64_t> valid_rank_counts(std::int64_t lanes);

}  // namespace holdfast::dist
