#include "train/rank_follower.h"

#include <bit>

#include <fmt/format.h>

#include "base/checksum.h"
#include "train/rank_orders.h"
#include "train/rank_status.h"

namespace holdfast::train {

using base::ExitCode;
using base::Failure;
using base::Result;
using base::Status;

namespace {

RankOrder receive(dist::Communicator& group) {
    RankOrder::Words words{};
    group.broadcast_words(words);
    return RankOrder::from_words(words);
}

void take_step(const FollowerParts& parts, const RankOrder& order) {
    parts.watch.note_step(order.number);
    const Result<const data::Batch*> batch = parts.loader.next();
    if (!batch.ok()) {
        throw Failure(ExitCode::kFailed, batch.error().within("while reading training data").what);
    }
    const data::Batch& taken = *batch.value();
    const auto expected = std::bit_cast<std::uint64_t>(order.other);
    if (taken.batch_hash != expected) {
        throw Failure(ExitCode::kFailed,
                      fmt::format("rank {}: the batch of step {} is another one here (hash {}, "
                                  "rank 0 has {}): give all ranks the same data",
                                  parts.group.rank(),
                                  order.number,
                                  base::to_hex(taken.batch_hash),
                                  base::to_hex(expected)));
    }
    static_cast<void>(parts.step.launch(taken, order.number, order.rate, {}));
    parts.loader.consume();
}

void evaluate(const FollowerParts& parts, const RankOrder& order, data::EvaluationUnit& unit) {
    const data::ValidationSet& set =
        *parts.val_sets.at(static_cast<std::size_t>(order.other)).windows;
    const std::int64_t e = order.number + parts.group.rank();
    double nats = 0.0;
    if (e < set.unit_count()) {
        const Result<double> sum = unit_nats(parts.gpt, set, e, unit);
        if (!sum.ok()) {
            throw Failure(ExitCode::kFailed, sum.error().within("while evaluating").what);
        }
        nats = sum.value();
    }
    const std::int64_t word = std::bit_cast<std::int64_t>(nats);
    static_cast<void>(parts.group.gather_words({&word, 1}));
}

[[noreturn]] void refuse(const RankOrder& order, int rank) {
    throw Failure(ExitCode::kFailed,
                  fmt::format("rank {} was told {}, which is no order it can follow now: are all "
                              "ranks the same program?",
                              rank,
                              static_cast<std::int64_t>(order.kind)));
}

}  // namespace

std::optional<ExitCode> follow_start(dist::Communicator& group, const StartOfFollower& start) {
    while (true) {
        const RankOrder order = receive(group);
        switch (order.kind) {
            case RankOrderKind::kLook: {
                const std::string answer = start.look(group.broadcast_text(""));
                start.looked(group.gather_texts(answer));
                break;
            }
            case RankOrderKind::kSetUp:
                start.set_up(group.broadcast_text(""));
                break;
            case RankOrderKind::kLoad: {
                const Status loaded = start.load(group.broadcast_text(""));
                static_cast<void>(group.gather_texts(print_rank_status(loaded)));
                break;
            }
            case RankOrderKind::kBeginFresh:
            case RankOrderKind::kBeginLoaded:
                start.begin(order.kind == RankOrderKind::kBeginLoaded, {order.number, order.other});
                return std::nullopt;
            case RankOrderKind::kEnd:
                return static_cast<ExitCode>(order.number);
            default:
                refuse(order, group.rank());
        }
    }
}

ExitCode follow(const FollowerParts& parts) {
    data::EvaluationUnit unit;
    while (true) {
        const RankOrder order = receive(parts.group);
        switch (order.kind) {
            case RankOrderKind::kStep:
                take_step(parts, order);
                break;
            case RankOrderKind::kEvaluate:
                evaluate(parts, order, unit);
                break;
            case RankOrderKind::kCapture:
                parts.saver.capture(order.number, parts.capture);
                break;
            case RankOrderKind::kEnd:
                parts.watch.end();
                return static_cast<ExitCode>(order.number);
            default:
                refuse(order, parts.group.rank());
        }
    }
}

}  // namespace holdfast::train
