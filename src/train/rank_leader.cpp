#include "train/rank_leader.h"

#include <bit>
#include <utility>

#include <fmt/format.h>

#include "train/rank_status.h"

namespace holdfast::train {

void RankLeader::order_step(std::int64_t step, double learning_rate, std::uint64_t batch_hash) {
    watch_.note_step(step);
    group_.post_words(RankOrder{.kind = RankOrderKind::kStep,
                                .number = step,
                                .other = std::bit_cast<std::int64_t>(batch_hash),
                                .rate = learning_rate}
                          .to_words());
}

void RankLeader::order_evaluation(std::int64_t set, std::int64_t first_unit) {
    group_.post_words(
        RankOrder{.kind = RankOrderKind::kEvaluate, .number = first_unit, .other = set}.to_words());
}

std::vector<double> RankLeader::gather_units(double mine) {
    const std::int64_t word = std::bit_cast<std::int64_t>(mine);
    std::vector<double> sums;
    for (const auto& words : group_.gather_words({&word, 1})) {
        sums.push_back(std::bit_cast<double>(words.front()));
    }
    return sums;
}

void RankLeader::order_capture() {
    const std::int64_t ticket = ticket_.load() + 1;
    ticket_.store(ticket);
    group_.post_words(RankOrder{.kind = RankOrderKind::kCapture, .number = ticket}.to_words());
}

void RankLeader::order_load(const std::string& path) {
    group_.post_words(RankOrder{.kind = RankOrderKind::kLoad}.to_words());
    static_cast<void>(group_.broadcast_text(path));
}

base::Status RankLeader::gather_statuses(const base::Status& mine) {
    const std::vector<std::string> texts = group_.gather_texts(print_rank_status(mine));
    for (std::size_t rank = 0; rank < texts.size(); ++rank) {
        const base::Status status = parse_rank_status(texts.at(rank));
        if (!status.ok()) {
            return rank == 0 ? mine : status.error().within(fmt::format("rank {}", rank));
        }
    }
    return {};
}

std::vector<std::string> RankLeader::ask_who_sees(const std::string& question) {
    group_.post_words(RankOrder{.kind = RankOrderKind::kLook}.to_words());
    static_cast<void>(group_.broadcast_text(question));
    return group_.gather_texts("");
}

void RankLeader::order_set_up(const std::string& text) {
    group_.post_words(RankOrder{.kind = RankOrderKind::kSetUp}.to_words());
    static_cast<void>(group_.broadcast_text(text));
}

void RankLeader::order_begin(bool loaded, std::int64_t epoch, std::int64_t sample) {
    group_.post_words(
        RankOrder{.kind = loaded ? RankOrderKind::kBeginLoaded : RankOrderKind::kBeginFresh,
                  .number = epoch,
                  .other = sample}
            .to_words());
}

void RankLeader::order_end(base::ExitCode exit_code) {
    if (std::exchange(has_ended_, true) || is_alone()) {
        return;
    }
    watch_.end();
    group_.post_words(
        RankOrder{.kind = RankOrderKind::kEnd, .number = static_cast<std::int64_t>(exit_code)}
            .to_words());
    group_.wait_posted();
}

}  // namespace holdfast::train
