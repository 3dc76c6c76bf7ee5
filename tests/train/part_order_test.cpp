#include "train/part_order.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "train/rank_status.h"

namespace holdfast::train {
namespace {

using base::Error;
using base::ErrorKind;
using testing::HasSubstr;
using testing::StartsWith;

TEST(RankStatus, ComesBackAsItWas) {
    EXPECT_TRUE(parse_rank_status(print_rank_status({})).ok());
    for (const ErrorKind kind : {ErrorKind::kNotFound,
                                 ErrorKind::kCorrupt,
                                 ErrorKind::kNoSpace,
                                 ErrorKind::kIo,
                                 ErrorKind::kBusy,
                                 ErrorKind::kInvalid,
                                 ErrorKind::kExists}) {
        const base::Status back =
            parse_rank_status(print_rank_status(Error{kind, "what went wrong: here", 5}));
        ASSERT_FALSE(back.ok());
        EXPECT_EQ(back.error().kind, kind);
        EXPECT_EQ(back.error().what, "what went wrong: here");
    }
}

TEST(RankStatus, AnotherProgramsTextIsAnError) {
    for (const char* text : {"", "okay", "corruption x", "io"}) {
        EXPECT_FALSE(parse_rank_status(text).ok()) << text;
    }
}

TEST(PartOrder, ComesBackAsItWas) {
    const auto back =
        parse_part_order(print_part_order({PartOrderKind::kWrite, 7, "/run/.pending-\"x\""}));
    ASSERT_TRUE(back.ok());
    EXPECT_EQ(back.value().kind, PartOrderKind::kWrite);
    EXPECT_EQ(back.value().ticket, 7);
    EXPECT_EQ(back.value().directory, "/run/.pending-\"x\"");
}

TEST(PartOrder, NoOrderIsAnError) {
    for (const char* text : {"",
                             "{}",
                             "[]",
                             "{\"kind\":\"dance\",\"ticket\":1}",
                             "{\"kind\":\"scan\",\"ticket\":\"1\"}"}) {
        const auto order = parse_part_order(text);
        ASSERT_FALSE(order.ok()) << text;
        EXPECT_EQ(order.error().kind, ErrorKind::kCorrupt);
    }
}

checkpoint::PartRecord some_record() {
    checkpoint::PartRecord record;
    record.save_id = "0123456789abcdef";
    record.rank = 2;
    record.pieces.push_back({"model.safetensors", 4096, {{16, 99}}});
    return record;
}

TEST(PartAnswer, ARecordComesBackAsItWas) {
    const auto back = parse_part_answer(print_part_answer(PartAnswer{"", some_record()}), 2);
    ASSERT_TRUE(back.ok()) << back.error().what;
    EXPECT_EQ(back.value().record, some_record());
}

TEST(PartAnswer, AnErrorKeepsItsKindAndNamesTheRank) {
    const auto back =
        parse_part_answer(print_part_answer(Error{ErrorKind::kNoSpace, "disk full \xff\n", 28}), 3);
    ASSERT_FALSE(back.ok());
    EXPECT_EQ(back.error().kind, ErrorKind::kNoSpace);
    EXPECT_THAT(back.error().what, StartsWith("rank 3"));
    EXPECT_THAT(back.error().what, HasSubstr("disk full"));
}

TEST(PartAnswer, PoisonComesBackAsItWas) {
    const auto back =
        parse_part_answer(print_part_answer(PartAnswer{"wte is nan at element 4", {}}), 1);
    ASSERT_TRUE(back.ok());
    EXPECT_EQ(back.value().poison, "wte is nan at element 4");
    EXPECT_TRUE(back.value().record.save_id.empty());
}

TEST(PartAnswer, AChangedRecordIsFound) {
    std::string text = print_part_answer(PartAnswer{"", some_record()});
    text.replace(text.find("4096"), 4, "4097");
    const auto back = parse_part_answer(text, 2);
    ASSERT_FALSE(back.ok());
    EXPECT_EQ(back.error().kind, ErrorKind::kCorrupt);
}

}  // namespace
}  // namespace holdfast::train
