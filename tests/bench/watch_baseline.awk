# XAUC of the predictor "mean watch time of the training rows in the duration's
# decile", exact, ties of predictions one half.
#
#   zstd -dc LOG.csv.zst | awk -v last=20220503 -f tests/bench/watch_baseline.awk
#
# Rows up to the date `last` are training rows, the others are evaluated; rows
# without a duration are left out, as configs/kuairand-watch.yaml leaves them out.
BEGIN { FS = "," }
NR == 1 {
    for (i = 1; i <= NF; i++) column[$i] = i
    next
}
$column["duration_ms"] > 0 {
    d = $column["duration_ms"] + 0
    t = $column["play_time_ms"] + 0
    if ($column["date"] + 0 <= last) {
        n_train++
        train_d[n_train] = d
        train_t[n_train] = t
        seen[d]++
    } else {
        n_eval++
        eval_d[n_eval] = d
        eval_t[n_eval] = t
    }
}

# Durations in ascending order with their shares of the training rows: the
# decile of a duration is that of the rows below it.
function deciles(    n, i, below) {
    n = 0
    for (d in seen) value[++n] = d + 0
    heap_sort(value, n)
    below = 0
    for (i = 1; i <= n; i++) {
        decile[value[i]] = int(10 * below / n_train)
        below += seen[value[i]]
    }
    n_values = n
}

function heap_sort(v, n,    i, t) {
    for (i = int(n / 2); i >= 1; i--) sift(v, i, n)
    for (i = n; i > 1; i--) {
        t = v[1]; v[1] = v[i]; v[i] = t
        sift(v, 1, i - 1)
    }
}

function sift(v, i, n,    j, t) {
    while ((j = 2 * i) <= n) {
        if (j < n && v[j + 1] > v[j]) j++
        if (v[i] >= v[j]) return
        t = v[i]; v[i] = v[j]; v[j] = t
        i = j
    }
}

# Decile of any duration: of the largest training duration that is not larger.
function decile_of(d,    low, high, mid) {
    low = 1
    high = n_values
    if (d < value[1]) return 0
    while (low < high) {
        mid = int((low + high + 1) / 2)
        if (value[mid] <= d) low = mid; else high = mid - 1
    }
    return decile[value[low]]
}

END {
    deciles()
    for (i = 1; i <= n_train; i++) {
        k = decile[train_d[i]]
        sum[k] += train_t[i]
        rows[k]++
    }
    for (k = 0; k < 10; k++) mean[k] = rows[k] ? sum[k] / rows[k] : 0
    for (i = 1; i <= n_eval; i++) {
        k = decile_of(eval_d[i])
        if (!((eval_t[i], k) in count)) times[eval_t[i]] = 1
        count[eval_t[i], k]++
        e = mean[k] - eval_t[i]
        absolute += e < 0 ? -e : e
    }
    n = 0
    for (t in times) order[++n] = t + 0
    heap_sort(order, n)
    # Times in ascending order: pairs with the rows of smaller times.
    for (i = 1; i <= n; i++) {
        for (k = 0; k < 10; k++) {
            c = count[order[i], k]
            if (!c) continue
            for (j = 0; j < 10; j++) {
                pairs += c * smaller[j]
                if (mean[j] < mean[k]) right += c * smaller[j]
                else if (mean[j] == mean[k]) right += c * smaller[j] / 2
            }
        }
        for (k = 0; k < 10; k++) smaller[k] += count[order[i], k]
    }
    printf "xauc %.5f  mae %.5f s  rows %d\n", right / pairs, absolute / n_eval / 1000, n_eval
}
