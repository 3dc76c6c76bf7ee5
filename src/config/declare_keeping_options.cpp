// What is kept and told: options of checkpoint and log; and the table made of all parts.
#include "config/option_list.h"
#include "config/option_table.h"

namespace holdfast::config {

namespace {

void declare_checkpoint(OptionList& list) {
    list.add(
            "checkpoint.dir",
            [](auto& s) -> auto& { return s.checkpoint.dir; },
            ChangeRule::kFree,
            "path",
            "Where the run lives. Empty: checkpoints/<name>.")
        .also({"checkpoint-dir"})
        .add(
            "checkpoint.interval",
            [](auto& s) -> auto& { return s.checkpoint.interval; },
            ChangeRule::kFree,
            "",
            "How often a run saves: every N steps, or every so often (5m). Step 0, the last step "
            "and "
            "a stop are always saved.")
        .zero_is("off")
        .also({"checkpoint-freq"})
        .add(
            "checkpoint.keep",
            [](auto& s) -> auto& { return s.checkpoint.keep; },
            ChangeRule::kFree,
            "checkpoints",
            "How many of the newest regular checkpoints are kept. Two, so that one may be damaged.")
        .at_least(2)
        .also({"keep-checkpoints"})
        .add(
            "checkpoint.keep_emergency",
            [](auto& s) -> auto& { return s.checkpoint.keep_emergency; },
            ChangeRule::kFree,
            "checkpoints",
            "The same for those saved at a signal or a fault; they never push out regular ones.")
        .at_least(1)
        .also({"keep-emergency-checkpoints"})
        .add(
            "checkpoint.keep_every",
            [](auto& s) -> auto& { return s.checkpoint.keep_every; },
            ChangeRule::kFree,
            "steps",
            "The first save at or after each multiple of this is kept for ever.")
        .at_least(1)
        .zero_is("off")
        .add(
            "checkpoint.backup",
            [](auto& s) -> auto& { return s.checkpoint.backup; },
            ChangeRule::kFree,
            "",
            "Second copies of the newest and the best checkpoint. auto: when the disk has room.")
        .words({"auto", "on", "off"})
        .add(
            "checkpoint.backup_dir",
            [](auto& s) -> auto& { return s.checkpoint.backup_dir; },
            ChangeRule::kFree,
            "path",
            "Where the second copies go: best on another disk. Empty: inside the run's folder.")
        .add(
            "checkpoint.gather",
            [](auto& s) -> auto& { return s.checkpoint.gather; },
            ChangeRule::kFree,
            "",
            "With several nodes: the parts of ranks go to rank 0's node. auto: of those whose node "
            "does not see the directory.")
        .words({"auto", "on", "off"})
        .also({"checkpoint-gather"});
}

void declare_disk(OptionList& list) {
    list.add(
            "checkpoint.on_disk_short",
            [](auto& s) -> auto& { return s.checkpoint.on_disk_short; },
            ChangeRule::kFree,
            "",
            "What happens at the start when the disk has no room for all checkpoints of the run.")
        .words({"warn", "refuse"})
        .add(
            "checkpoint.disk_warn_percent",
            [](auto& s) -> auto& { return s.checkpoint.disk_warn_percent; },
            ChangeRule::kFree,
            "percent",
            "How full the disk gets before the log warns of it.")
        .at_least(1)
        .at_most(100)
        .zero_is("off")
        .add(
            "checkpoint.disk_alert_percent",
            [](auto& s) -> auto& { return s.checkpoint.disk_alert_percent; },
            ChangeRule::kFree,
            "percent",
            "How full it gets before the warning becomes an alarm.")
        .at_least(1)
        .at_most(100)
        .zero_is("off");
}

void declare_log(OptionList& list) {
    list.add(
            "log.tensorboard",
            [](auto& s) -> auto& { return s.log.tensorboard; },
            ChangeRule::kFree,
            "",
            "Write TensorBoard event files beside the checkpoints.")
        .also({"use-tensorboard"})
        .add(
            "log.json",
            [](auto& s) -> auto& { return s.log.json; },
            ChangeRule::kFree,
            "",
            "Write metrics.jsonl, one line a step.")
        .add(
            "log.sample_interval",
            [](auto& s) -> auto& { return s.log.sample_interval; },
            ChangeRule::kFree,
            "steps",
            "Steps between texts the model writes while it learns.")
        .at_least(1)
        .zero_is("off")
        .add(
            "log.sample_prompts",
            [](auto& s) -> auto& { return s.log.sample_prompts; },
            ChangeRule::kFree,
            "",
            "What those texts begin with.");
}

void declare_dist(OptionList& list) {
    list.add(
            "dist.nproc_per_node",
            [](auto& s) -> auto& { return s.dist.nproc_per_node; },
            ChangeRule::kFree,
            "ranks",
            "Ranks that the program starts on each machine, each a process of its own; they give "
            "the bits of one. auto: one a GPU, or one. Left to torchrun, mpirun or srun where they "
            "start the ranks.")
        .at_least(1)
        .at_most(65536)
        .zero_is("auto")
        .add(
            "dist.join_timeout",
            [](auto& s) -> auto& { return s.dist.join_timeout_seconds; },
            ChangeRule::kFree,
            "seconds",
            "With several ranks: how long one waits at the start until all others have come.")
        .duration()
        .at_least(1)
        .add(
            "dist.timeout",
            [](auto& s) -> auto& { return s.dist.timeout_seconds; },
            ChangeRule::kFree,
            "seconds",
            "With several ranks: how long one waits in a step for another before it gives up.")
        .duration()
        .at_least(1)
        .add(
            "dist.lost_after",
            [](auto& s) -> auto& { return s.dist.lost_after_seconds; },
            ChangeRule::kFree,
            "seconds",
            "With several ranks: how long one may be silent (it is dead, stopped or cut off) "
            "before "
            "the others end, to be started again from the newest checkpoint.")
        .duration()
        .at_least(2);
}

}  // namespace

void declare_keeping_options(OptionList& list) {
    declare_checkpoint(list);
    declare_disk(list);
    declare_log(list);
    declare_dist(list);
}

const OptionTable& option_table() {
    static const OptionTable table = [] {
        OptionList list;
        declare_run_options(list);
        declare_model_options(list);
        declare_keeping_options(list);
        return OptionTable(list.take());
    }();
    return table;
}

}  // namespace holdfast::config
