// What the run is, reads and does: options without a group, and of data, batch and train.
#include "config/option_list.h"

namespace holdfast::config {

namespace {

void declare_run(OptionList& list) {
    list.add(
            "name",
            [](auto& s) -> auto& { return s.run.name; },
            ChangeRule::kFree,
            "",
            "What the run is called; checkpoints/<name> holds it. A config file that gives no "
            "name lends its own.")
        .add(
            "seed",
            [](auto& s) -> auto& { return s.run.seed; },
            ChangeRule::kFixed,
            "",
            "Where all chance comes from: first weights, order of the data, dropout. The same "
            "seed gives the same run.")
        .at_least(0)
        .add(
            "device",
            [](auto& s) -> auto& { return s.run.device; },
            ChangeRule::kMathematics,
            "",
            "Where to compute. auto takes the GPUs when there are any.")
        .words({"auto", "cpu", "cuda"})
        .zero_is("auto")
        .automatic()
        .add_choice<model::Precision>(
            "precision",
            {{"bf16", model::Precision::kBf16},
             {"fp32", model::Precision::kFp32},
             {"fp8", model::Precision::kFp8}},
            [](auto& s) -> auto& { return s.run.precision; },
            ChangeRule::kMathematics,
            "What products are computed in; weights and moments are always fp32. bf16 is fastest "
            "on "
            "GPUs since Ampere and CPUs with AMX or AVX512-BF16, fp32 on other CPUs.")
        .add(
            "threads",
            [](auto& s) -> auto& { return s.run.threads; },
            ChangeRule::kMathematics,
            "threads",
            "CPU threads of a rank. auto: all cores, divided by the ranks of this machine. Another "
            "number gives other bits on a CPU.")
        .at_least(1)
        .at_most(4096)
        .zero_is("auto")
        .automatic()
        .add(
            "deterministic",
            [](auto& s) -> auto& { return s.run.deterministic; },
            ChangeRule::kMathematics,
            "",
            "Only operations that give the same bits each time. Exact resume rests on it.")
        .add(
            "phase",
            [](auto& s) -> auto& { return s.run.phase; },
            ChangeRule::kMathematics,
            "",
            "base learns from raw text, mid from chosen text, sft from conversations.")
        .words({"base", "mid", "sft"})
        .add(
            "init_from",
            [](auto& s) -> auto& { return s.run.init_from; },
            ChangeRule::kFixed,
            "path",
            "A checkpoint or exported model whose weights a new run begins with. Empty: fresh "
            "weights.")
        .automatic()
        .add(
            "notes",
            [](auto& s) -> auto& { return s.run.notes; },
            ChangeRule::kFree,
            "",
            "Anything worth remembering; kept with the run.");
}

void declare_data(OptionList& list) {
    list.add(
            "data.train",
            [](auto& s) -> auto& { return s.data.train; },
            ChangeRule::kFree,
            "path",
            "Token shards to learn from: files, folders or globs. `holdfast prepare` makes them "
            "from text. The run knows its data by fingerprint, so they may be moved.")
        .add(
            "data.val",
            [](auto& s) -> auto& { return s.data.val; },
            ChangeRule::kFree,
            "path",
            "Shards to measure on, never learnt from. The first set is val_loss; name=path adds "
            "val_loss.<name>.")
        .add(
            "data.tokenizer",
            [](auto& s) -> auto& { return s.data.tokenizer; },
            ChangeRule::kFixed,
            "",
            "How text was cut into tokens: gpt2 (50,257 word pieces) or bytes (every byte one "
            "token; good for small texts).")
        .words({"gpt2", "bytes"});
}

void declare_batch(OptionList& list) {
    list.add(
            "batch.batch_tokens",
            [](auto& s) -> auto& { return s.batch.batch_tokens; },
            ChangeRule::kMathematics,
            "tokens",
            "Tokens of one optimizer step, over all devices. How they are cut and accumulated "
            "follows from it.")
        .at_least(1)
        .add(
            "batch.micro_batch",
            [](auto& s) -> auto& { return s.batch.micro_batch; },
            ChangeRule::kMathematics,
            "sequences",
            "Sequences computed at a time: more is faster until memory is full. auto chooses when "
            "the run begins.")
        .at_least(1)
        .zero_is("auto")
        .automatic()
        .add(
            "batch.lanes",
            [](auto& s) -> auto& { return s.batch.lanes; },
            ChangeRule::kFixed,
            "lanes",
            "Into how many sums a batch is cut, for ever. Any rank count that divides them gives "
            "the same bits. auto: the rank count when the run begins.")
        .at_least(1)
        .at_most(65536)
        .zero_is("auto")
        .automatic();
}

void declare_train(OptionList& list) {
    list.add(
            "train.max_steps",
            [](auto& s) -> auto& { return s.train.max_steps; },
            ChangeRule::kFree,
            "steps",
            "When to stop. May be raised later to go on.")
        .at_least(1)
        .zero_is("none")
        .add(
            "train.max_epochs",
            [](auto& s) -> auto& { return s.train.max_epochs; },
            ChangeRule::kFree,
            "epochs",
            "Stop after this many passes over the training data.")
        .at_least(1)
        .zero_is("none")
        .add(
            "train.time_limit",
            [](auto& s) -> auto& { return s.train.time_limit_seconds; },
            ChangeRule::kFree,
            "seconds",
            "Save and stop after this time (8h, 90m); the exit code then says: start again.")
        .duration()
        .at_least(0)
        .zero_is("none")
        .add(
            "train.stop_deadline",
            [](auto& s) -> auto& { return s.train.stop_deadline_seconds; },
            ChangeRule::kFree,
            "seconds",
            "How long a signal leaves the program to save and end. A save that would take longer "
            "is "
            "not begun.")
        .duration()
        .at_least(0)
        .add(
            "train.eval_interval",
            [](auto& s) -> auto& { return s.train.eval_interval; },
            ChangeRule::kFree,
            "steps",
            "Steps between evaluations on data.val. off: only at the end.")
        .at_least(1)
        .zero_is("off")
        .add(
            "train.eval_tokens",
            [](auto& s) -> auto& { return s.train.eval_tokens; },
            ChangeRule::kMathematics,
            "tokens",
            "How much of the validation data an evaluation reads.")
        .at_least(1)
        .zero_is("all")
        .add_choice<train::BadLossPolicy>(
            "train.on_bad_loss",
            {{"stop", train::BadLossPolicy::kStop}, {"skip", train::BadLossPolicy::kSkip}},
            [](auto& s) -> auto& { return s.train.on_bad_loss; },
            ChangeRule::kFree,
            "What to do when loss or gradients are NaN or infinite. The step is refused either "
            "way; "
            "stop saves and ends, skip counts it and goes on.");
}

}  // namespace

void declare_run_options(OptionList& list) {
    declare_run(list);
    declare_data(list);
    declare_batch(list);
    declare_train(list);
}

}  // namespace holdfast::config
