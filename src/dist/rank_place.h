// Where a rank stands among the others.
#pragma once

namespace holdfast::dist {

// Nodes have equally many ranks, numbered node by node: rank = node_rank * local_size + local_rank
// and size = node_count * local_size. All counted from 0.
struct RankPlace {
    int rank = 0;
    int size = 1;
    int local_rank = 0;
    int local_size = 1;
    int node_rank = 0;
    int node_count = 1;

    bool operator==(const RankPlace&) const = default;
};

}  // namespace holdfast::dist
