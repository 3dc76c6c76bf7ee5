// The supervisor: starts the ranks of a run on this node, passes on what they say and what they are
// to be told, and starts them again after a failure as far as the config wants it.
//
// It is the process that the user or the scheduler sees. What it promises:
//   - No rank outlives it, however it ends (child_process.h).
//   - A signal reaches each rank once. Terminals signal process groups, so each rank has one of its
//     own and the supervisor passes on SIGINT, SIGTERM, SIGHUP and SIGUSR1 (rank_group.h).
//   - Lines of ranks are never torn or mixed (output_sink.h, line_relay.h). Rank 0 speaks without
//     prefix, and writes to a terminal itself.
//   - The first failure ends the attempt: the others have grace_seconds, then SIGTERM, then
//   SIGKILL,
//     and at the end stands which rank failed how, with its last lines.
//   - Ranks find rank 0 without a race for a port (listening_socket.h).
#pragma once

#include "base/result.h"
#include "dist/launch_config.h"
#include "dist/rank_group.h"

namespace holdfast::dist {

// Runs the ranks to their end and returns the exit code of the whole: 0 when all ranks ended with
// it; else that of the first rank that failed, 1 if a signal killed it; after a stop signal that
// was passed on, what the ranks made of it (130, 143, 75). Blocks as long as the ranks live; call
// it from the main thread, with no other supervisor and nobody else waiting for all children.
//
// kInvalid for a config that cannot be; kBusy, kIo or kNotFound when ranks cannot be started at
// all. Then no rank is left.
base::Result<int> supervise(const LaunchConfig& config, const RankProgram& program);

}  // namespace holdfast::dist
