/* How the losses of several tasks become one gradient: the arithmetic of model.balance,
 * free of nets and lanes. All sums run over tasks in order, in double.
 *
 * Letters: K tasks, G[K, K] the Gram matrix of the tasks' gradients, G_jk = <g_j, g_k>. */
#ifndef MTPS_MODEL_BALANCE_H
#define MTPS_MODEL_BALANCE_H

#include <stddef.h>
#include <stdint.h>

#include "common/config/settings.h"

/* uncertainty (Kendall, Gal and Cipolla, CVPR'18): a label costs c exp(-s) loss + s / 2,
 * s the task's log variance; c is 1/2 for squared errors, whose Gaussian has it, and 1
 * for all others (huber has it already). */
double balance_uncertainty(enum loss_kind loss);

/* dwa (Liu, Johns and Davison, CVPR'19, eq. 7): weight[K] = K softmax(r / temperature),
 * r_k = last_k / before_k; 1 for a task without a positive loss in either. */
void balance_dwa(size_t K, const double *last, const double *before, double temperature,
                 double *weight);

/* pcgrad (Yu et al., NeurIPS'20, algorithm 1) in terms of inner products: every g_k, for
 * j in order[k][0..K-1), loses its part along g_j where they oppose each other; the sum of
 * what is left is sum_k coef_k g_k. scratch[K]. */
void balance_pcgrad(size_t K, const double *G, const uint32_t *order, double *scratch,
                    double *coef);
/* The others of every task in random order, a function of the arguments alone:
 * order[K, K - 1]. row: number of a lane's first row in the prepared data; place: one of
 * several shared representations of a model. */
void balance_order(uint64_t seed, uint64_t step, uint64_t row, size_t place, size_t K,
                   uint32_t *order);

/* mgda (Sener and Koltun, NeurIPS'18): coef >= 0 with sum 1 for which
 * |sum_k coef_k g_k| is least, by BALANCE_MGDA_STEPS of the pairwise Frank-Wolfe method
 * (Lacoste-Julien and Jaggi, NeurIPS'15) with exact line search from equal parts: for two
 * tasks the first step is the closed form, for more the distance to the least length
 * falls by a factor a step. A task whose gradient is 0, as without labels, is left out:
 * it would make 0 the shortest mean. scratch[K]. */
enum { BALANCE_MGDA_STEPS = 250 };
void balance_mgda(size_t K, const double *G, double *scratch, double *coef);

#endif
