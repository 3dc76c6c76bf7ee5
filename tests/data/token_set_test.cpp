#include "data/token_set.h"

#include <gtest/gtest.h>
