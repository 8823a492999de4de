/* Statistics of features that a hot start takes from the checkpoint. */
#ifndef MTPS_WORKER_HOT_STATISTICS_H
#define MTPS_WORKER_HOT_STATISTICS_H

#include "data/dataset.h"

/* Features that the checkpoint has with the same definition (kind, transforms, default,
 * buckets) get its statistics; others keep those of fit. s: the new settings. */
enum status hot_statistics_keep(const struct settings *s, struct ckpt *ckpt, struct fit *fit,
                                struct error *err) MUST_USE;

#endif
