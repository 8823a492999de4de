/* Probabilities of a funnel in log space: a step happens only after the one before.
 *
 *   P_k = s_1 s_2 ... s_k, s_i = sigmoid(a_i)    joint, from conditional logits
 *   c_k = P_k / P_{k-1}                          conditional, from joint logits
 *
 * A joint logit is z_k = log P_k - log(1 - P_k). log(1 - P_k) is the log of the sum of
 * the ways to fail, (1 - s_1) + s_1 (1 - s_2) + ...: a sum of positive numbers, which
 * is exact where P_k is near 1, unlike log1mexp(log P_k), and finite for finite a. */
#ifndef MTPS_MATH_FUNNEL_H
#define MTPS_MATH_FUNNEL_H

/* A row after some steps. */
struct funnel {
    double reach; /* log P_k */
    double fail;  /* log(1 - P_k) */
    double slope; /* dz_k / da_k = (1 - s_k) / (1 - P_k), in [0, 1] */
    double carry; /* dz_k / dz_{k-1} along any earlier a: (1 - P_{k-1}) / (1 - P_k), in
                     [0, 1] */
};

/* Before the first step: everything gets here. */
struct funnel funnel_start(void);
/* One step on, with conditional logit a. */
struct funnel funnel_next(struct funnel f, double a);
/* z_k; after the first step it is a, up to rounding. */
double funnel_logit(struct funnel f);

/* Logit of c_k from the joint logits of step k and the one before. Models whose steps
 * are not tied may have P_k > P_{k-1}: c_k is at most 1 - 2^-24, so that its log loss
 * is finite and its value below 1 as a float. */
double funnel_conditional(double before, double z);

#endif
