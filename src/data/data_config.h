// Where the tokens of a run come from.
#pragma once

#include <string>
#include <vector>

namespace holdfast::data {

struct DataConfig {
    // Each a token shard, a folder of them, or a glob.
    std::vector<std::string> train;
    // The first set is val_loss; further ones are logged as val_loss.<name>. `name=path` names one.
    std::vector<std::string> val;
    std::string tokenizer =
        "gpt2";  // gpt2 | bytes; must be the one the shards say they were made with
};

}  // namespace holdfast::data
