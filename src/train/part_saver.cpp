#include "train/part_saver.h"

#include <chrono>
#include <exception>

#include <fmt/format.h>

#include "base/log.h"
#include "state/finite_scan.h"

namespace holdfast::train {

using base::Error;
using base::ErrorKind;
using base::Result;

namespace {

constexpr double kOrderWaitSeconds = 0.5;
constexpr std::chrono::seconds kCaptureWait{60};

}  // namespace

PartSaver::PartSaver(fs::FileSystem& file_system,
                     state::Snapshot& snapshot,
                     const RankShare& share,
                     std::unique_ptr<dist::RankStore> store)
    : file_system_(file_system), snapshot_(snapshot), share_(share), store_(std::move(store)) {
    thread_ = std::thread([this] { run_orders(); });
}

PartSaver::~PartSaver() {
    {
        const std::lock_guard lock(mutex_);
        ending_ = true;
    }
    changed_.notify_all();
    thread_.join();
}

void PartSaver::capture(std::int64_t ticket, const std::function<void()>& fill) {
    {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return !in_use_; });
        in_use_ = true;
    }
    fill();
    {
        const std::lock_guard lock(mutex_);
        in_use_ = false;
        ticket_ = ticket;
    }
    changed_.notify_all();
}

void PartSaver::run_orders() {
    std::int64_t number = 1;
    while (true) {
        {
            const std::lock_guard lock(mutex_);
            if (ending_) {
                return;
            }
        }
        const Result<std::string> text = store_->get(part_order_key(number), kOrderWaitSeconds);
        if (!text.ok()) {
            if (text.error().kind == ErrorKind::kNotFound) {
                continue;
            }
            return;  // rank 0 is gone: the step loop meets that too, and tells it
        }
        const Result<PartOrder> order = parse_part_order(text.value());
        const Result<PartAnswer> answer =
            order.ok() ? carry_out(order.value()) : Result<PartAnswer>(order.error());
        if (!answer.ok()) {
            base::log_warning(
                "rank {} could not write its part: {}", share_.rank, answer.error().what);
        }
        if (!store_->set(part_answer_key(number, share_.rank), print_part_answer(answer)).ok()) {
            return;
        }
        ++number;
    }
}

Result<PartAnswer> PartSaver::carry_out(const PartOrder& order) {
    {
        std::unique_lock lock(mutex_);
        const bool is_there = changed_.wait_for(
            lock, kCaptureWait, [&] { return ending_ || (ticket_ >= order.ticket && !in_use_); });
        if (!is_there || ticket_ != order.ticket) {
            return Error{
                ErrorKind::kBusy,
                fmt::format(
                    "its snapshot is number {}, number {} was asked for", ticket_, order.ticket),
                0};
        }
        in_use_ = true;
    }
    Result<PartAnswer> answer = write_or_scan(order);
    {
        const std::lock_guard lock(mutex_);
        in_use_ = false;
    }
    changed_.notify_all();
    return answer;
}

Result<PartAnswer> PartSaver::write_or_scan(const PartOrder& order) {
    // A save that fails is no reason to lose the run, whatever it was that failed.
    try {
        if (order.kind == PartOrderKind::kScan) {
            return PartAnswer{.poison = state::poison_in_words(snapshot_), .record = {}};
        }
        Result<checkpoint::PartRecord> record =
            write_rank_part(file_system_, order.directory, share_, snapshot_, buffers_);
        if (!record.ok()) {
            return record.error();
        }
        return PartAnswer{.poison = "", .record = std::move(record).value()};
    } catch (const std::exception& failure) {
        return Error{ErrorKind::kIo, failure.what(), 0};
    }
}

}  // namespace holdfast::train
