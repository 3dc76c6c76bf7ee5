#include "dist/communicator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dist/rank_threads.h"

namespace holdfast::dist {
namespace {

using testing::ElementsAre;

TEST(Communicator, GathersWordsAndTextsInTheOrderOfRanks) {
    run_ranks(3, 3, [](Communicator& group) {
        const std::int64_t word = 10 * group.rank();
        EXPECT_THAT(group.gather_words({&word, 1}),
                    ElementsAre(ElementsAre(0), ElementsAre(10), ElementsAre(20)));
        const std::string text(static_cast<std::size_t>(group.rank()) * 1000, 'x');
        const auto texts = group.gather_texts(text);
        ASSERT_EQ(texts.size(), 3U);
        for (std::size_t i = 0; i < texts.size(); ++i) {
            EXPECT_EQ(texts.at(i).size(), i * 1000);
        }
    });
}

TEST(Communicator, PostedWordsArriveInOrder) {
    run_ranks(3, 3, [](Communicator& group) {
        for (std::int64_t i = 0; i < 200; ++i) {
            std::array<std::int64_t, 2> words = {i, -i};
            if (group.rank() == 0) {
                group.post_words(words);
            } else {
                words = {0, 0};
                group.broadcast_words(words);
                EXPECT_THAT(words, ElementsAre(i, -i));
            }
        }
        if (group.rank() == 0) {
            group.wait_posted();
        }
        EXPECT_EQ(group.broadcast_text(group.rank() == 0 ? "a text" : ""), "a text");
    });
}

TEST(Communicator, NodesOfAPowerOfTwoOfRanksGiveTwoStages) {
    run_ranks(4, 2, [](Communicator& group) { EXPECT_EQ(group.stages().size(), 2U); });
    run_ranks(4, 4, [](Communicator& group) { EXPECT_EQ(group.stages().size(), 1U); });
    run_ranks(6, 3, [](Communicator& group) { EXPECT_EQ(group.stages().size(), 1U); });
}

}  // namespace
}  // namespace holdfast::dist
