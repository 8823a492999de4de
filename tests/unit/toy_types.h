/* Small models of every type: what tests go through that hold for all of them. */
#ifndef MTPS_TESTS_TOY_TYPES_H
#define MTPS_TESTS_TOY_TYPES_H

#include "tests/unit/test_model_toy.h"

#define MMOE                                                                             \
    .type = MODEL_MMOE, .n_rows = 6, .n_tasks = 2, .seed = 1, .count = 3,                \
    .experts = {5}, .towers = {4}
#define PLE2                                                                             \
    .type = MODEL_PLE, .n_rows = 6, .n_tasks = 3, .seed = 1, .own = 2, .shared = 3,      \
    .levels = 2, .experts = {5}, .towers = {4}

#define ALL_OPTIONS                                                                      \
    PLE2, .norm = NORM_LAYER, .dropout = 0.5, .attends = true, .attention = {4},         \
        .cross = 2, .rank = 3

#define TWO_TOWER                                                                        \
    .type = MODEL_TWO_TOWER, .n_rows = 6, .n_tasks = 2, .seed = 1, .user = {5, 3},       \
    .item = {3}

static const struct toy_cfg toy_types[] = {
    {.type = MODEL_LR, .n_rows = 6, .n_tasks = 2, .seed = 1},
    {.type = MODEL_DNN, .n_rows = 6, .n_tasks = 2, .seed = 1, .bottom = {5, 3}},
    {.type = MODEL_SHARE_BOTTOM,
     .n_rows = 6,
     .n_tasks = 2,
     .seed = 1,
     .bottom = {11},
     .towers = {4}},
    {.type = MODEL_OMOE,
     .n_rows = 6,
     .n_tasks = 2,
     .seed = 1,
     .count = 3,
     .experts = {5},
     .towers = {4}},
    {MMOE},
    {.type = MODEL_CGC,
     .n_rows = 6,
     .n_tasks = 2,
     .seed = 1,
     .own = 2,
     .shared = 1,
     .experts = {5},
     .towers = {4}},
    {PLE2},
    {ALL_OPTIONS},
    {.type = MODEL_DNN, .n_rows = 6, .n_tasks = 2, .seed = 1, .cross = 2},
    {MMOE, .cross = 1, .rank = 3},
    {TWO_TOWER},
    {TWO_TOWER, .cross = 1, .norm = NORM_LAYER, .dropout = 0.5},
    {.type = MODEL_FM, .n_rows = 6, .n_tasks = 2, .seed = 1, .wide = true},
    {.type = MODEL_WIDE_DEEP,
     .n_rows = 6,
     .n_tasks = 2,
     .seed = 1,
     .bottom = {5},
     .wide = true},
    {.type = MODEL_DEEPFM,
     .n_rows = 6,
     .n_tasks = 2,
     .seed = 1,
     .bottom = {5, 3},
     .wide = true},
    {.type = MODEL_ESMM,
     .n_rows = 6,
     .n_tasks = 2,
     .seed = 1,
     .towers = {4},
     .funnel = {1, 0},
     .n_funnel = 2},
    {.type = MODEL_AITM,
     .n_rows = 6,
     .n_tasks = 2,
     .seed = 1,
     .bottom = {5},
     .towers = {4},
     .funnel = {1, 0},
     .n_funnel = 2},
};
enum { N_TOY_TYPES = sizeof toy_types / sizeof toy_types[0] };

#endif
