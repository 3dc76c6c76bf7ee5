#include "checkpoint/ancestry.h"

#include <gmock/gmock.h>

#include "catalog_builder.h"

namespace holdfast::checkpoint {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> candidate_labels(const Catalog& catalog) {
    std::vector<std::string> labels;
    for (const Entry* entry : resume_candidates(catalog)) {
        labels.push_back(entry->label());
    }
    return labels;
}

TEST(Ancestry, NewestFirstByStepNeverByName) {
    CatalogBuilder builder;
    builder.add(Pool::kRolling, 1, 500);
    builder.add(Pool::kRolling, 1, 250).name = "step_99999999";
    builder.add(Pool::kEmergency, 1, 312);
    EXPECT_THAT(
        candidate_labels(builder.catalog()),
        ElementsAre("rolling/step_00000500", "emergency/step_00000312", "rolling/step_99999999"));
}

TEST(Ancestry, RollbackFencesWhatCameAfterTheFork) {
    CatalogBuilder builder;
    for (const std::int64_t step : {250, 500, 750}) {
        builder.add(Pool::kRolling, 1, step);
    }
    builder.add(Pool::kRolling, 2, 500, {{1, 500, "00000000000000aa"}});
    const Catalog catalog = builder.catalog();
    EXPECT_THAT(
        candidate_labels(catalog),
        ElementsAre("rolling/step_00000500-r2", "rolling/step_00000500", "rolling/step_00000250"));
    const Entry* head = find_head(catalog);
    EXPECT_EQ(head->label(), "rolling/step_00000500-r2");
    EXPECT_TRUE(is_superseded(*builder.find(catalog, "rolling/step_00000750"), *head));
}

TEST(Ancestry, RollbackOfARollbackKnowsItsGrandparents) {
    CatalogBuilder builder;
    builder.add(Pool::kRolling, 1, 100);
    builder.add(Pool::kRolling, 1, 300);
    // Of lineage 2 nothing is left.
    builder.add(
        Pool::kRolling, 3, 250, {{1, 200, "00000000000000aa"}, {2, 250, "00000000000000bb"}});
    EXPECT_THAT(candidate_labels(builder.catalog()),
                ElementsAre("rolling/step_00000250-r3", "rolling/step_00000100"));
}

TEST(Ancestry, DamagedUnreadableAndForeignAreNoCandidates) {
    CatalogBuilder builder;
    builder.add(Pool::kRolling, 1, 100);
    builder.add(Pool::kRolling, 1, 200).state = EntryState::kDamaged;
    builder.add(Pool::kRolling, 1, 300).state = EntryState::kUnreadable;
    builder.add(Pool::kRolling, 9, 400, {{1, 1, "00000000000000aa"}}).state = EntryState::kForeign;
    EXPECT_THAT(candidate_labels(builder.catalog()), ElementsAre("rolling/step_00000100"));
    EXPECT_THAT(candidate_labels(Catalog{}), IsEmpty());
}

TEST(Ancestry, ALostLineBeganAtTheLowestStepOfItsNamesOrBefore) {
    CatalogBuilder builder;
    builder.add(Pool::kRolling, 1, 100);
    builder.add(Pool::kRolling, 2, 300, {{1, 100, "00000000000000aa"}});
    const Catalog catalog = builder.catalog();
    EXPECT_FALSE(find_lost_line(catalog, {}).has_value());
    EXPECT_FALSE(find_lost_line(catalog, {{2, 250, {}}}).has_value()) << "it can be used";
    EXPECT_FALSE(find_lost_line(catalog, {{3, -1, {}}}).has_value()) << "no name tells a step";
    const auto lost = find_lost_line(
        catalog, {{3, 90, {}}, {4, 280, {}}, {4, 250, {}}, {4, -1, {}}, {2, 10, {}}});
    ASSERT_TRUE(lost.has_value());
    EXPECT_EQ(lost->lineage, 4);
    EXPECT_EQ(lost->fork_step_max, 250);
}

TEST(Ancestry, OnlyTheHeadContinuesItsLineage) {
    CatalogBuilder builder;
    builder.add(Pool::kRolling, 1, 100);
    builder.add(Pool::kRolling, 1, 200);
    EXPECT_TRUE(may_continue_lineage({1, 200, {}}, builder.catalog()));
    EXPECT_FALSE(may_continue_lineage({1, 100, {}}, builder.catalog()));
    EXPECT_EQ(next_lineage(builder.catalog()), 2);
    // What cannot be read just now may be newer: its name counts.
    builder.add(Pool::kRolling, 1, 300).state = EntryState::kUnreadable;
    EXPECT_FALSE(may_continue_lineage({1, 200, {}}, builder.catalog()));
    builder.add(Pool::kRolling, 4, 50).state = EntryState::kDamaged;
    EXPECT_EQ(next_lineage(builder.catalog()), 5);
}

TEST(Ancestry, BeginLineageRecordsTheForks) {
    Manifest chosen;
    chosen.identity = {2, 500, "00000000000000bb"};
    chosen.ancestors = {{1, 250, "00000000000000aa"}};
    Manifest manifest;
    begin_lineage(manifest, chosen, 3);
    EXPECT_EQ(manifest.identity.lineage, 3);
    EXPECT_EQ(manifest.identity.step, 500);
    EXPECT_THAT(manifest.ancestors, ElementsAre(chosen.ancestors[0], chosen.identity));
}

}  // namespace
}  // namespace holdfast::checkpoint
