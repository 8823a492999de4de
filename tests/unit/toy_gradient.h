/* Every gradient of a toy model against central differences of the reference forward in
 * double (model/reference.h). */
#ifndef MTPS_TESTS_TOY_GRADIENT_H
#define MTPS_TESTS_TOY_GRADIENT_H

#include "tests/unit/test_model_toy.h"

/* A step with random parameters: each float of each tensor, each float of each row of a
 * table, and the losses. What differs ends the test. */
void toy_check_gradients(const struct toy_cfg *cfg);

#endif
