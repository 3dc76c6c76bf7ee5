// The model, how it learns, and how fast: options of model, optimizer and schedule.
#include "config/option_list.h"

namespace holdfast::config {

namespace {

void declare_shape(OptionList& list) {
    list.add(
            "model.n_layer",
            [](auto& s) -> auto& { return s.model.n_layer; },
            ChangeRule::kFixed,
            "layers",
            "Blocks the text passes through, one after the other. GPT-2 small has 12.")
        .at_least(1)
        .at_most(1024)
        .add(
            "model.n_head",
            [](auto& s) -> auto& { return s.model.n_head; },
            ChangeRule::kFixed,
            "heads",
            "Attention heads of a layer; must divide model.n_embd. 64 numbers a head is usual.")
        .at_least(1)
        .at_most(1024)
        .add(
            "model.n_embd",
            [](auto& s) -> auto& { return s.model.n_embd; },
            ChangeRule::kFixed,
            "numbers",
            "Width: how many numbers stand for one token inside the model. GPT-2 small has 768.")
        .at_least(1)
        .at_most(65536)
        .add(
            "model.block_size",
            [](auto& s) -> auto& { return s.model.block_size; },
            ChangeRule::kFixed,
            "tokens",
            "How far the model looks back, and the length of every training sequence.")
        .at_least(1)
        .at_most(1048576)
        .add(
            "model.vocab_size",
            [](auto& s) -> auto& { return s.model.vocab_size; },
            ChangeRule::kFixed,
            "tokens",
            "How many different tokens there are. Leave it to follow the data.")
        .at_least(1)
        .at_most(65536)
        .zero_is("auto")
        .automatic()
        .add(
            "model.bias",
            [](auto& s) -> auto& { return s.model.bias; },
            ChangeRule::kFixed,
            "",
            "Whether linear layers and layer norms have a bias, as GPT-2 has.");
}

}  // namespace

void declare_model_options(OptionList& list) {
    declare_shape(list);
    list.add(
            "model.dropout",
            [](auto& s) -> auto& { return s.model.dropout; },
            ChangeRule::kMathematics,
            "",
            "Part of the activations set to zero in training, against learning a small text by "
            "heart. 0 for large data, 0.1 to 0.2 for a few megabytes.")
        .at_least(0)
        .below(1)
        .add(
            "model.attention_dropout",
            [](auto& s) -> auto& { return s.model.attention_dropout; },
            ChangeRule::kMathematics,
            "",
            "The same for attention weights. Slower, and seldom worth it.")
        .at_least(0)
        .below(1)
        .add_choice<model::Recompute>(
            "model.recompute",
            {{"none", model::Recompute::kNone},
             {"gelu", model::Recompute::kGelu},
             {"norm", model::Recompute::kNorm},
             {"block", model::Recompute::kBlock}},
            [](auto& s) -> auto& { return s.model.recompute; },
            ChangeRule::kMathematics,
            "What the backward pass computes again instead of keeping: less memory for more time, "
            "from none to block.")
        .add(
            "optimizer.learning_rate",
            [](auto& s) -> auto& { return s.optimizer.learning_rate; },
            ChangeRule::kMathematics,
            "",
            "The largest step size. Too high and the loss jumps or becomes NaN, too low and "
            "learning crawls. 6e-4 suits GPT-2 small, 1e-3 smaller models.")
        .at_least(0)
        .add(
            "optimizer.weight_decay",
            [](auto& s) -> auto& { return s.optimizer.weight_decay; },
            ChangeRule::kMathematics,
            "",
            "How strongly matrices and embeddings are pulled towards zero.")
        .at_least(0)
        .add(
            "optimizer.beta1",
            [](auto& s) -> auto& { return s.optimizer.beta1; },
            ChangeRule::kMathematics,
            "",
            "AdamW: how slowly the mean of the gradients forgets.")
        .at_least(0)
        .below(1)
        .add(
            "optimizer.beta2",
            [](auto& s) -> auto& { return s.optimizer.beta2; },
            ChangeRule::kMathematics,
            "",
            "AdamW: how slowly the mean of the squared gradients forgets.")
        .at_least(0)
        .below(1)
        .add(
            "optimizer.epsilon",
            [](auto& s) -> auto& { return s.optimizer.epsilon; },
            ChangeRule::kMathematics,
            "",
            "AdamW: keeps the division by a tiny second moment in bounds.")
        .at_least(0)
        .add(
            "optimizer.grad_clip",
            [](auto& s) -> auto& { return s.optimizer.grad_clip; },
            ChangeRule::kMathematics,
            "",
            "Gradients whose global norm is larger are scaled down to it, so that one strange "
            "batch cannot throw the run off.")
        .at_least(0)
        .zero_is("off")
        .add_choice<optim::ScheduleKind>(
            "schedule.kind",
            {{"cosine", optim::ScheduleKind::kCosine},
             {"linear", optim::ScheduleKind::kLinear},
             {"constant", optim::ScheduleKind::kConstant},
             {"wsd", optim::ScheduleKind::kWsd}},
            [](auto& s) -> auto& { return s.schedule.kind; },
            ChangeRule::kMathematics,
            "How the learning rate falls after the warm-up. wsd stays at the top and falls in the "
            "last fifth.")
        .add(
            "schedule.steps",
            [](auto& s) -> auto& { return s.schedule.steps; },
            ChangeRule::kMathematics,
            "steps",
            "The step at which the rate has fallen to its minimum. Left to the program it is "
            "train.max_steps when the run begins, and stays so when max_steps is raised later.")
        .at_least(1)
        .zero_is("auto")
        .automatic()
        .add(
            "schedule.warmup_steps",
            [](auto& s) -> auto& { return s.schedule.warmup_steps; },
            ChangeRule::kMathematics,
            "steps",
            "Steps over which the rate rises from zero: an untrained model takes full steps badly.")
        .at_least(0)
        .add(
            "schedule.min_learning_rate",
            [](auto& s) -> auto& { return s.schedule.min_learning_rate; },
            ChangeRule::kMathematics,
            "",
            "What the rate falls to. A tenth of optimizer.learning_rate is usual.")
        .at_least(0);
}

}  // namespace holdfast::config
