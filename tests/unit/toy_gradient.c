#include "tests/unit/toy_gradient.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The model computes in float: sums of some hundred terms below 10 carry 1e-6. */
static const double TOLERANCE = 2e-5;

/* dL/dvalue by central differences. A kink of relu between the two points spoils
 * it; a smaller step then tells. */
static bool difference_agrees(struct toy *t, float *value, double gradient)
{
    float was = *value;
    double d = 0;
    for (double h = 0x1p-12; h > 0x1p-20; h /= 8) {
        *value = (float)((double)was + h);
        double up = toy_reference_loss(t), at = (double)*value;
        *value = (float)((double)was - h);
        d = (up - toy_reference_loss(t)) / (at - (double)*value);
        *value = was;
        if (fabs(d - gradient) <= TOLERANCE * (1 + fabs(d))) return true;
    }
    print_error("difference %.9g, gradient %.9g\n", d, gradient);
    return false;
}

static void check_tensors(struct toy *t)
{
    size_t n;
    const struct model_tensor *list = model_tensors(t->model, &n);
    for (size_t i = 0; i < n; i++)
        for (size_t r = 0; r < list[i].rows; r++)
            for (size_t c = 0; c < list[i].cols; c++) {
                size_t at = list[i].offset + r * list[i].stride + c;
                if (!difference_agrees(t, &t->params[at], (double)t->grad[at]))
                    fail_msg("%s[%zu, %zu]", list[i].name, r, c);
            }
}

static void check_rows(struct toy *t)
{
    for (size_t i = 0; i < t->spec.n_tables; i++)
        for (size_t u = 0; u < t->batch.tables[i].n; u++)
            for (size_t j = 0; j < t->table_dim[i]; j++) {
                size_t at = t->rows.place[i][u] * t->table_dim[i] + j;
                double g = (double)t->row_grad[i][u * t->table_dim[i] + j];
                if (!difference_agrees(t, &t->table[i][at], g))
                    fail_msg("table %zu, row %zu, column %zu", i, u, j);
            }
}

void toy_check_gradients(const struct toy_cfg *cfg)
{
    struct toy t;
    toy_create(&t, cfg);
    toy_randomise(&t);
    for (size_t i = 0; i < t.spec.n_tables; i++) /* the step must overwrite, not add */
        memset(t.row_grad[i], 0x7f, t.batch.tables[i].n * t.table_dim[i] * sizeof(float));
    memset(t.grad, 0x7f, t.n_params * sizeof(float));
    assert_true(toy_step(&t));
    double sum = 0;
    for (size_t k = 0; k < cfg->n_tasks; k++) sum += t.loss[k] * t.tasks[k].weight;
    if (cfg->balance.kind == BALANCE_FIXED)
        assert_true(fabs(sum - toy_reference_loss(&t)) < 1e-6 * (1 + fabs(sum)));
    check_tensors(&t);
    check_rows(&t);
    toy_destroy(&t);
}
