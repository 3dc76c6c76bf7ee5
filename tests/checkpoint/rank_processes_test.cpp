// Method: the ranks of a save are processes, forked, that write into one pending directory of a
// real disk and answer through pipes. Then one of them, or the one that publishes, is killed at a
// named point (by SIGKILL, before the call that the point is), and the run is opened again.

#include <array>
#include <memory>
#include <optional>

#include <sys/wait.h>
#include <unistd.h>

#include <gmock/gmock.h>

#include "parted_fixture.h"

namespace holdfast::checkpoint {
namespace {

using fs::Operation;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// A process that runs `work` and hands its text back.
class Process {
public:
    template <typename Work>
    explicit Process(Work work) {
        std::array<int, 2> ends{};
        EXPECT_EQ(::pipe(ends.data()), 0);
        id_ = ::fork();
        if (id_ == 0) {
            ::close(ends[0]);
            const std::string text = work();
            for (std::size_t done = 0; done < text.size();) {
                const ssize_t count = ::write(ends[1], text.data() + done, text.size() - done);
                if (count <= 0) {
                    ::_exit(3);
                }
                done += static_cast<std::size_t>(count);
            }
            ::_exit(0);
        }
        EXPECT_GT(id_, 0);
        ::close(ends[1]);
        answer_ = ends[0];
    }
    ~Process() { ::close(answer_); }
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;
    Process(Process&&) = delete;
    Process& operator=(Process&&) = delete;

    // What it said until it ended; whether it was killed.
    std::string wait(bool& was_killed) {
        std::string text;
        std::array<char, 4096> buffer{};
        for (ssize_t count = 1; count > 0;) {
            count = ::read(answer_, buffer.data(), buffer.size());
            text.append(buffer.data(), static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
        }
        int status = 0;
        EXPECT_EQ(::waitpid(id_, &status, 0), id_);
        was_killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
        return text;
    }

private:
    pid_t id_ = -1;
    int answer_ = -1;
};

constexpr std::string_view kFailed = "failed: ";

class RankProcesses : public PartedFixture {
protected:
    // One rank: its record, or why there is none.
    std::unique_ptr<Process> start_rank(const std::string& directory,
                                        const PartedState& state,
                                        std::int64_t rank,
                                        const std::optional<fs::Fault>& fault = {}) {
        return std::make_unique<Process>([&, rank] {
            if (fault) {
                faults_.arm(*fault);
            }
            const auto part = write_part(*file_system_, directory, state, rank, shared_buffers());
            const auto text = part.ok() ? print_part_record(part.value())
                                        : base::Result<std::string>(part.error());
            return text.ok() ? text.value() : std::string(kFailed) + text.error().what;
        });
    }

    // What the rank that publishes does; `fault` is in the process of `faulty_rank`.
    base::Result<PublishedCheckpoint> save_by_processes(
        const RunDirectory& run,
        const PartedState& state,
        std::int64_t step,
        std::int64_t faulty_rank = -1,
        const std::optional<fs::Fault>& fault = {}) {
        base::Result<PendingSave> begun = begin(run);
        if (!begun.ok()) {
            return begun.error();
        }
        PendingSave save = std::move(begun).value();
        if (const auto layout = save.create_shared(kModelFileName, infos_of(state.model));
            !layout.ok()) {
            return layout.error();
        }
        std::vector<std::unique_ptr<Process>> ranks;
        for (std::int64_t rank = 0; rank < state.rank_count(); ++rank) {
            ranks.push_back(start_rank(save.directory(),
                                       state,
                                       rank,
                                       rank == faulty_rank ? fault : std::optional<fs::Fault>{}));
        }
        std::vector<PartRecord> parts;
        std::string failures;
        for (const auto& rank : ranks) {
            bool was_killed = false;
            const std::string text = rank->wait(was_killed);
            const auto part = parse_part_record(text);
            if (part.ok() && !was_killed) {
                parts.push_back(part.value());
            } else {
                failures += was_killed ? "a rank was killed; " : text;
            }
        }
        if (!failures.empty()) {
            return base::Error{base::ErrorKind::kIo, failures, 0};
        }
        base::Status status = save.adopt(parts);
        Manifest manifest = manifest_of(run, step);
        manifest.identity.save_id = save.save_id();
        if (status.ok()) {
            status = save.seal(std::move(manifest));
        }
        if (!status.ok()) {
            return status.error();
        }
        return run.publish(std::move(save), Pool::kRolling, shared_buffers());
    }

    // The newest is the save of step 1, whole, and nothing is left of the other.
    void expect_only_the_first(const std::string& hash) {
        EXPECT_THAT(labels(), ElementsAre("rolling/step_00000001"));
        EXPECT_THAT(pending_directories(), IsEmpty());
        EXPECT_EQ(hash_of(in_run("rolling/step_00000001")), hash);
    }

    const LayeredState state_{7};
};

TEST_F(RankProcesses, P4_TwoAndFourWriteWhatOneWrites) {
    faults_.let_syncs_reach_disk(true);
    const auto opened = open();
    const LayeredState large(3, 700'000);  // 22 MB of weights, in pieces of more than a chunk
    const RunDirectory& run = opened.value().run;
    const auto whole = save_whole(run, large, 3);
    ASSERT_TRUE(whole.ok()) << whole.error().what;
    const std::string expected = hash_of(whole.value().path);
    for (const std::uint64_t ranks : {1U, 2U, 4U}) {
        const auto published = save_by_processes(run, large.evenly(ranks), 3);
        ASSERT_TRUE(published.ok()) << ranks << ": " << published.error().what;
        EXPECT_EQ(hash_of(published.value().path), expected) << ranks;
        const auto turns =
            save_by_processes(run,
                              large.owned_by(dealt_out(large.model_elements(), ranks, 654'321),
                                             dealt_out(large.optimizer_elements(), ranks, 765'432)),
                              3);
        ASSERT_TRUE(turns.ok()) << ranks << ": " << turns.error().what;
        EXPECT_EQ(hash_of(turns.value().path), expected) << ranks;
    }
}

// Ranks whose pieces are a few bytes each, so that they write into the same pages at the same time.
TEST_F(RankProcesses, PagesThatSeveralWriteAtOnceKeepTheBytesOfAll) {
    const auto opened = open();
    const RunDirectory& run = opened.value().run;
    const LayeredState dense(5, 400);
    const std::string expected = hash_of(save_whole(run, dense, 5).value().path);
    for (int round = 0; round < 5; ++round) {
        const auto published =
            save_by_processes(run,
                              dense.owned_by(dealt_out(dense.model_elements(), 4, 3),
                                             cut_evenly(dense.optimizer_elements(), 4)),
                              5);
        ASSERT_TRUE(published.ok()) << published.error().what;
        EXPECT_EQ(hash_of(published.value().path), expected);
    }
}

struct KilledAt {
    const char* name;
    fs::Fault fault;
};

void PrintTo(const KilledAt& at, std::ostream* out) {
    *out << at.name;
}

constexpr auto kNameOfPoint = [](const auto& of) { return std::string(of.param.name); };

class KilledRank : public RankProcesses, public ::testing::WithParamInterface<KilledAt> {};

TEST_P(KilledRank, P1_TheSaveIsDroppedAndTheNextOneSucceeds) {
    const auto opened = open();
    const RunDirectory& run = opened.value().run;
    const std::string before = hash_of(save_parts(run, state_.evenly(2), 1).value().path);
    fs::Fault fault = GetParam().fault;
    fault.kill = true;
    const auto failed = save_by_processes(run, state_.evenly(2), 7, 1, fault);
    ASSERT_FALSE(failed.ok()) << "the point was not reached";
    EXPECT_THAT(failed.error().what, ::testing::StartsWith("a rank was killed"));
    expect_only_the_first(before);
    EXPECT_TRUE(save_by_processes(run, state_.evenly(2), 7).ok());
}

INSTANTIATE_TEST_SUITE_P(
    At,
    KilledRank,
    ::testing::Values(
        KilledAt{"Joining", {.operation = Operation::kStatus, .path_part = ".pending-"}},
        KilledAt{"OpeningTheSharedFile", {.operation = Operation::kOpen, .path_part = "model"}},
        KilledAt{"TheFirstPiece", {.operation = Operation::kWrite, .path_part = "model"}},
        KilledAt{"BetweenPieces",
                 {.at_call = 2, .operation = Operation::kWrite, .path_part = "model"}},
        KilledAt{"TheSyncOfThePieces", {.operation = Operation::kSync, .path_part = "model"}},
        KilledAt{"ReadingThePiecesBack", {.operation = Operation::kRead, .path_part = "model"}},
        KilledAt{"MakingItsFile", {.operation = Operation::kOpen, .path_part = "optimizer"}},
        KilledAt{"WritingItsFile", {.operation = Operation::kWrite, .path_part = "optimizer"}},
        KilledAt{"TheSyncOfItsFile", {.operation = Operation::kSync, .path_part = "optimizer"}},
        KilledAt{"ReadingItsFileBack", {.operation = Operation::kRead, .path_part = "optimizer"}},
        KilledAt{"TheSyncOfTheNames", {.operation = Operation::kSyncDirectory}}),
    kNameOfPoint);

// The process that publishes, with all its ranks: the pending directory stays until the run is
// opened again.
class KilledPublisher : public RankProcesses, public ::testing::WithParamInterface<KilledAt> {};

TEST_P(KilledPublisher, P1_WhatIsLeftIsClearedAtTheNextOpening) {
    std::string before;
    {
        const auto opened = open();
        before = hash_of(save_parts(opened.value().run, state_.evenly(2), 1).value().path);
    }
    Process publisher([&] {
        const auto opened = open();
        fs::Fault fault = GetParam().fault;
        fault.kill = true;
        faults_.arm(fault);
        const auto saved = save_parts(opened.value().run, state_.evenly(2), 7);
        return saved.ok() ? std::string("saved") : saved.error().what;
    });
    bool was_killed = false;
    EXPECT_EQ(publisher.wait(was_killed), "");
    ASSERT_TRUE(was_killed) << "the point was not reached";
    const bool is_published = !std::filesystem::is_empty(in_run("rolling")) && labels().size() == 2;
    EXPECT_EQ(pending_directories().size(), is_published ? 0U : 1U);
    const auto opened = open();
    ASSERT_TRUE(opened.ok()) << opened.error().what;
    if (is_published) {
        EXPECT_EQ(std::string(GetParam().name), "TheSyncOfThePool");
        EXPECT_TRUE(
            Reader::open(*file_system_, in_run("rolling/step_00000007")).value().verify().ok());
    } else {
        expect_only_the_first(before);
    }
    EXPECT_TRUE(save_parts(opened.value().run, state_.evenly(2), 9).ok());
}

INSTANTIATE_TEST_SUITE_P(
    At,
    KilledPublisher,
    ::testing::Values(
        KilledAt{"MakingTheSharedFile", {.operation = Operation::kOpen, .path_part = "model"}},
        KilledAt{"ReservingIt", {.operation = Operation::kReserve, .path_part = "model"}},
        KilledAt{"WritingItsHeader", {.operation = Operation::kWrite, .path_part = "model"}},
        KilledAt{"TheRanksPieces",
                 {.at_call = 3, .operation = Operation::kWrite, .path_part = "model"}},
        KilledAt{"BetweenTheParts", {.operation = Operation::kOpen, .path_part = "00002-of"}},
        KilledAt{"MakingItReadOnly",
                 {.operation = Operation::kSetPermissions, .path_part = "model"}},
        KilledAt{"ItsLastSync",
                 {.at_call = 3, .operation = Operation::kSync, .path_part = "model"}},
        KilledAt{"TheManifest", {.operation = Operation::kWrite, .path_part = "checkpoint.json"}},
        KilledAt{"TheSyncOfTheManifest",
                 {.operation = Operation::kSync, .path_part = "checkpoint.json"}},
        KilledAt{"TheSyncOfTheNames",
                 {.at_call = 3, .operation = Operation::kSyncDirectory, .path_part = ".pending-"}},
        KilledAt{"Publishing", {.operation = Operation::kRename, .path_part = ".pending-"}},
        KilledAt{"TheSyncOfThePool",
                 {.operation = Operation::kSyncDirectory, .path_part = "run/rolling"}}),
    kNameOfPoint);

// A rank that hangs while the others are dropped, and goes on afterwards: it has nowhere to write.
TEST_F(RankProcesses, P6_ARankThatComesTooLateChangesNothing) {
    const auto opened = open();
    const RunDirectory& run = opened.value().run;
    const std::string before = hash_of(save_parts(run, state_.evenly(2), 1).value().path);
    PendingSave save = begin(run).value();
    ASSERT_TRUE(save.create_shared(kModelFileName, infos_of(state_.model())).ok());
    std::array<int, 2> joined{};
    std::array<int, 2> dropped{};
    ASSERT_EQ(::pipe(joined.data()), 0);
    ASSERT_EQ(::pipe(dropped.data()), 0);
    char signal = 'x';
    Process late([&] {
        RankPart part =
            RankPart::join(*file_system_, save.directory(), 1, shared_buffers()).value();
        if (::write(joined[1], &signal, 1) != 1 || ::read(dropped[0], &signal, 1) != 1) {
            return std::string("no signal");
        }
        const auto added = part.add(optimizer_file_name(2, 2), state_.optimizer());
        return added.ok() ? std::string("written") : added.error().what;
    });
    ASSERT_EQ(::read(joined[0], &signal, 1), 1);
    { const PendingSave gone = std::move(save); }
    ASSERT_EQ(::write(dropped[1], &signal, 1), 1);
    bool was_killed = false;
    EXPECT_THAT(late.wait(was_killed), ::testing::HasSubstr("No such file or directory"));
    for (const int end : {joined[0], joined[1], dropped[0], dropped[1]}) {
        ::close(end);
    }
    expect_only_the_first(before);
}

}  // namespace
}  // namespace holdfast::checkpoint
