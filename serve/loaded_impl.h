/* The parts of opening a model. Inside serve/loaded*.c. */
#ifndef MTPS_SERVE_LOADED_IMPL_H
#define MTPS_SERVE_LOADED_IMPL_H

#include "serve/loaded.h"

enum status loaded_no_memory(struct error *err);
/* ST_DATA with the bundle's path. */
enum status loaded_fault(const struct mtps_model *m, struct error *err, const char *what);
/* An owner of a column: -1, the main rows, or one of n side tables. */
bool loaded_owner(const struct node *e, size_t n, int *out);

/* Fill in m->inputs with m->columns and m->joins, m->tasks, m->features. check: look into the side
 * tables, too. */
enum status loaded_list_inputs(struct mtps_model *m, bool check, struct error *err) MUST_USE;
enum status loaded_list_tasks(struct mtps_model *m, struct error *err) MUST_USE;
enum status loaded_list_features(struct mtps_model *m, struct error *err) MUST_USE;

#endif
