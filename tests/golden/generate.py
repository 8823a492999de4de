#!/usr/bin/env python3
"""Writes golden.txt: small models of every architecture, computed by PyTorch in double.

    python3 generate.py > golden.txt        (PyTorch 2; any recent one; not needed by the tests)

The models are written here from the papers' equations, with autograd for gradients and
torch.optim for the dense optimisers, and share nothing with the C code but names of
tensors. One batch of 6 rows serves all cases. Every line is: KEY NAME COUNT VALUES...
Lists of occurrences are a count and that many numbers for each row. Training takes
three steps: on all rows, on the first three, on the last four, so that some
embedding rows rest.
"""
import math
import sys

import torch

torch.set_default_dtype(torch.float64)
B, K, VOCABULARY = 6, 3, (5, 4)
DIMS = (2, 3)
STEPS = ((0, 6), (0, 3), (2, 6))
# name, kind, width (or table), pool; in config order
FEATURES = [("user", "id", 0, "sum"), ("num", "dense", 2, ""), ("seen", "id", 0, "mean"),
            ("level", "one_hot", 3, ""), ("tags", "id", 1, "sum"), ("more", "id", 1, "sqrtn")]
LISTS = {"user": [[0], [3], [1], [0], [4], [3]],
         "seen": [[1, 1, 2], [], [4], [0, 2], [2, 1, 0, 3], [1]],
         "tags": [[0, 1], [2], [], [2, 2], [1], [0, 3]],
         "more": [[3], [0, 1], [2, 2, 1], [], [0], [1, 3]]}
ATTENDS = ("seen", "user")  # the list and its target, where a case has attention
LEVELS = [0, 2, 1, -1, 2, 0]
LABELS = [[1, 0.25, 2.0], [0, 1, math.nan], [math.nan, 0.5, -1.5],
          [1, math.nan, 0.3], [0, 0, 4.0], [1, 1, math.nan]]
LOSSES = ("bce", "bce", "huber")
HUBER_DELTA = 0.8
TASK_WEIGHTS = (1.0, 0.5, 1.5)
SCALES = (0.25, 0.2, 0.25)
TASKS = ("click", "finish", "time")

# A seed of its own: a place in the list that does not matter.
CASES = [  # name, type, activation, parts
    ("lr", "lr", "relu", {}),
    ("dnn", "dnn", "silu", {"bottom": [4, 3]}),
    ("share_bottom", "share_bottom", "tanh", {"bottom": [5, 4], "towers": [3]}),
    ("omoe", "omoe", "relu", {"count": 3, "experts": [4], "towers": [3]}),
    ("mmoe", "mmoe", "relu", {"count": 3, "experts": [4], "towers": [3]}),
    ("mmoe_gate_mlp", "mmoe", "gelu", {"count": 2, "experts": [4, 3], "gates": [3], "towers": [3]}),
    ("fm", "fm", "relu", {"wide": ["user", "num", "seen", "level", "tags", "more"]}),
    ("wide_deep", "wide_deep", "relu",
     {"bottom": [4], "wide": ["num", "seen", "level", "tags"], "only": ["level", "tags"]}),
    ("deepfm", "deepfm", "silu",
     {"bottom": [4, 3], "wide": ["user", "num", "seen", "level", "tags", "more"]}),
    ("deepfm_cross", "deepfm", "tanh", {"bottom": [3], "cross": 1, "wide": ["num", "seen", "tags"]}),
    ("cgc", "cgc", "relu", {"own": 2, "shared": 1, "experts": [3], "towers": [3]}),
    ("ple", "ple", "silu", {"own": 2, "shared": 1, "levels": 2, "experts": [3], "towers": [3]}),
    ("mmoe_norm", "mmoe", "gelu",
     {"count": 2, "experts": [4, 3], "gates": [3], "towers": [3], "norm": 1}),
    ("dropout", "share_bottom", "tanh", {"bottom": [5, 4], "towers": [3], "dropout": 0.25}),
    ("l2", "dnn", "relu", {"bottom": [4], "l2": 0.125}),
    ("attention", "share_bottom", "silu", {"bottom": [4], "towers": [], "attention": [5, 3]}),
    ("own_parts", "cgc", "relu",
     {"own": 1, "shared": 1, "experts": [3], "gates": [], "towers": [3], "seed": 4001,
      "tasks": {"click": {"towers": [], "own": 2},
                "time": {"towers": [4, 3], "gates": [3], "own": 0}}}),
    ("dnn_cross", "dnn", "silu", {"bottom": [3], "cross": 2, "seed": 2001}),
    ("cgc_cross_rank", "cgc", "silu", {"own": 1, "shared": 1, "experts": [3], "towers": [3],
                                       "cross": 2, "rank": 3, "seed": 2002}),
    ("uncertainty", "mmoe", "tanh", {"count": 2, "experts": [4], "towers": [3],
                                     "balance": "uncertainty", "seed": 3001}),
    ("dwa", "mmoe", "tanh", {"count": 2, "experts": [4], "towers": [3], "balance": "dwa",
                             "seed": 3002}),
    *((f"{how}_{kind}", kind, "tanh", {**parts, "balance": how, "seed": 3004})
      for how in ("pcgrad", "mgda") for kind, parts in (
          ("share_bottom", {"bottom": [5, 4], "towers": [3]}),
          ("omoe", {"count": 3, "experts": [4], "towers": [3]}),
          ("mmoe", {"count": 3, "experts": [4], "towers": [3]}),
          ("cgc", {"own": 1, "shared": 2, "experts": [3], "towers": [3]}),
          ("ple", {"own": 1, "shared": 2, "levels": 3, "experts": [3], "towers": [3]}))),
    ("two_tower", "two_tower", "tanh", {"user": [4, 5, 3], "item": [3], "temperature": 0.25,
                                        "seed": 2003}),
    ("two_tower_cross", "two_tower", "silu", {"user": [3, 2], "item": [4, 2],
                                              "temperature": 0.5, "cross": 1, "seed": 2004}),
    ("esmm", "esmm", "tanh", {"towers": [4, 3], "funnel": [0, 1], "seed": 2011}),
    ("aitm", "aitm", "relu", {"bottom": [5], "towers": [3], "funnel": [1, 0],
                              "seed": 2012}),
    ("aitm_stop_gradient", "aitm", "gelu", {"towers": [4, 3], "funnel": [0, 1], "stop": 1,
                                            "norm": 1, "seed": 2013}),
    ("esmm_uncertainty", "esmm", "silu", {"bottom": [4], "towers": [3], "funnel": [1, 0],
                                          "balance": "uncertainty", "seed": 2014}),
]
CONSTRAINT = 0.6
# Values that dropout keeps: of each layer, in steps 0, 1 and 2, the columns of rows 0 to 5.
# They are what model/dropout.h says for seed 9; the test checks that.
MASKS = {
    "bottom/layer0": (
        "11110 11111 01111 11110 10110 11001",
        "01111 11111 10110 11010 11111 01011",
        "10110 11110 11101 01110 10101 11110"),
    "bottom/layer1": (
        "0011 1111 1111 0011 1001 1111",
        "1101 1011 0111 1111 1111 1100",
        "1011 1101 1110 1111 0111 1110"),
    "tower/click/layer0": (
        "111 011 110 111 010 101",
        "111 010 011 111 111 101",
        "100 110 111 001 101 111"),
    "tower/finish/layer0": (
        "111 111 100 011 111 000",
        "111 110 101 111 110 011",
        "111 111 111 010 111 110"),
    "tower/time/layer0": (
        "111 110 111 111 100 010",
        "111 101 110 111 111 111",
        "111 111 101 101 111 101"),
}
ACTIVATIONS = {"relu": torch.relu, "silu": torch.nn.functional.silu, "tanh": torch.tanh,
               "gelu": lambda x: torch.nn.functional.gelu(x, approximate="tanh")}
RUNS = ["sgd", "adagrad", "rowwise_adagrad", "adam", "ftrl"]  # rowwise: with AdamW on the dense part


# ---- balancing: model.balance ----

LAST, BEFORE, TEMPERATURE = (0.5, 0.9, 2.0), (0.8, 0.9, 1.0), 1.5  # of dwa
OPERATED = []  # coefficients at each meeting


def pcgrad(g):
    """Sum of the projected gradients g[K, n]; the others in ascending order."""
    out = torch.zeros_like(g[0])
    for k in range(K):
        mine = g[k].clone()
        for j in range(K):
            if j != k and mine @ g[j] < 0:
                mine = mine - (mine @ g[j]) / (g[j] @ g[j]) * g[j]
        out += mine
    return out


def mgda(g):
    """The shortest mean of g[K, n]: the best of the exact ones of all subsets."""
    best = None
    for subset in range(1, 2 ** K):
        ks = [k for k in range(K) if subset >> k & 1]
        m = torch.zeros(len(ks) + 1, len(ks) + 1)
        m[:-1, :-1] = g[ks] @ g[ks].T
        m[-1, :-1] = m[:-1, -1] = 1
        right = torch.zeros(len(ks) + 1)
        right[-1] = 1
        c = torch.linalg.solve(m, right)[:-1]
        v = c @ g[ks]
        if (c >= 0).all() and (best is None or v @ v < best @ best):
            best = v
    return best


class Meet(torch.autograd.Function):
    """z once for each task; on the way back the tasks' gradients become one."""

    @staticmethod
    def forward(ctx, z, how):
        ctx.how = how
        return tuple(z.clone() for _ in range(K))

    @staticmethod
    def backward(ctx, *grads):
        g = torch.stack([x.flatten() for x in grads])
        out = {"pcgrad": pcgrad, "mgda": mgda}[ctx.how](g)
        OPERATED.append((out - g.sum(0)).norm() / g.sum(0).norm())
        return out.reshape(grads[0].shape), None


def f32(x):
    """The nearest float, as a double: what the C test reads is exactly this."""
    return x.to(torch.float32).to(torch.float64)


def put(key, name, values, digits=9):
    print(key, name, len(values), *(f"{v:.{digits}g}" for v in values))


class Case:
    def __init__(self, number, name, kind, activation, parts):
        self.kind, self.act, self.parts = kind, ACTIVATIONS[activation], parts
        self.random = torch.Generator().manual_seed(parts.get("seed", 1000 + number))
        self.dims = {"lr": (K, K), "fm": (3, 3), "deepfm": (3, 3)}.get(kind, DIMS)
        self.tables = [self.values(VOCABULARY[t], self.dims[t]) for t in range(2)]
        self.wide = parts.get("wide", [])  # features with a weight for every task
        self.only = parts.get("only", [])  # of these, those that nothing else reads
        if self.wide:  # tables 2 and 3: weights of the ids of tables 0 and 1
            self.dims += (K, K)
            self.tables += [self.values(VOCABULARY[t], K) for t in range(2)]
        self.params = {}
        self.training = None  # or step and rows
        print("case", name, 1, kind)
        self.how = parts.get("balance", "fixed")
        print("activation", activation, 0)
        print("balance", self.how, 0)
        for part in ("bottom", "experts", "gates", "towers", "attention", "funnel"):
            put("sizes", part, parts.get(part, []))
        for feature in self.wide:
            print("wide", feature, 0)
        for feature in self.only:
            print("only", feature, 0)
        for part in ("count", "own", "shared", "levels", "norm", "dropout", "l2"):
            put("number", part, [parts.get(part, 0)])
        for part in ("cross", "rank", "temperature", "stop"):
            put("number", part, [parts.get(part, 0)])
        for part in ("user", "item"):
            put("sizes", part, parts.get(part, []))
        for task, own in parts.get("tasks", {}).items():
            for part, sizes in own.items():
                put("task", f"{task}/{part}", sizes if isinstance(sizes, list) else [sizes])

    def of(self, task, part):
        """A task's own part, or that of all."""
        own = self.parts.get("tasks", {}).get(task, {})
        return own.get(part, self.parts.get(part, []))

    def values(self, *shape):
        return f32(torch.rand(*shape, generator=self.random) * 2 - 1)

    def param(self, name, rows, cols):
        if name not in self.params:
            bound = (3.0 / rows) ** 0.5
            self.params[name] = f32(self.values(rows, cols) * bound).requires_grad_()
        return self.params[name]

    # ---- layers: x is a list of (feature, block of columns) or one tensor ----

    def linear(self, unit, index, x, out):
        bias = self.param(f"{unit}/layer{index}/b", 1, out)
        if isinstance(x, list):
            return bias + sum(block @ self.param(f"{unit}/layer{index}/w/{name}",
                                                 block.shape[1], out) for name, block in x)
        return bias + x @ self.param(f"{unit}/layer{index}/w", x.shape[1], out)

    def norm(self, name, x):
        if not self.parts.get("norm"):
            return x
        gain, bias = (self.param(f"{name}/{part}", 1, x.shape[1]) for part in ("gain", "bias"))
        return torch.nn.functional.layer_norm(x, x.shape[1:], gain[0], bias[0], 1e-5)

    def dropout(self, layer, x):
        if self.training is None or not self.parts.get("dropout"):
            return x
        step, first, end = self.training
        rows = MASKS[layer][step].split()[first:end]
        kept = torch.tensor([[float(c) for c in row] for row in rows])
        return x * kept / (1 - self.parts["dropout"])

    def mlp(self, unit, x, sizes, last=0):
        for i, n in enumerate(sizes):
            x = self.act(self.norm(f"{unit}/layer{i}/norm", self.linear(unit, i, x, n)))
            x = self.dropout(f"{unit}/layer{i}", x)
        return self.linear(unit, len(sizes), x, last) if last else x

    def attention(self, table, first, end):
        """DIN: a weight for each row of the list, from the row and the target's."""
        lists, targets = (LISTS[name][first:end] for name in ATTENDS)
        out = []
        for ids, (target,) in zip(lists, targets):
            e = table[ids] if ids else torch.zeros(0, table.shape[1])
            q = table[target].expand_as(e)
            x = torch.cat([e, q, e - q, e * q], 1)
            a = self.mlp(f"attention/{ATTENDS[0]}", x, self.parts["attention"], 1)
            out.append((a * e).sum(0))
        return torch.stack(out)

    def inputs(self, tables, first, end, shift=0):
        """Pooled rows, one-hot levels and numbers of rows [first, end), by feature. shift:
        2 for the rows of the wide part."""
        n, out = end - first, []
        for name, kind, where, pool in FEATURES:
            where += shift if kind == "id" else 0
            if kind == "dense":
                out.append((name, NUMBERS[first:end]))
            elif kind == "one_hot":
                block = torch.zeros(n, where)
                for r in range(n):
                    if LEVELS[first + r] >= 0:
                        block[r, LEVELS[first + r]] = 1
                out.append((name, block))
            else:
                rows = []
                if name == ATTENDS[0] and "attention" in self.parts:
                    out.append((name, self.attention(tables[where], first, end)))
                    continue
                for ids in LISTS[name][first:end]:
                    total = tables[where][ids].sum(0) if ids else torch.zeros(self.dims[where])
                    by = {"sum": 1, "mean": len(ids), "sqrtn": len(ids) ** 0.5}[pool]
                    rows.append(total / max(by, 1))
                out.append((name, torch.stack(rows)))
        return out

    def cross(self, x):
        """DCN-v2, equations 1 and 2: x_0 * (W x_l + b) + x_l, by features."""
        start, rank = x, self.parts.get("rank", 0)
        for layer in range(self.parts.get("cross", 0)):
            unit, new = f"cross/layer{layer}", []
            if rank:
                low = sum(v @ self.param(f"{unit}/v/{n}", v.shape[1], rank) for n, v in x)
            for (name, x0), (_, xl) in zip(start, x):
                width = x0.shape[1]
                u = self.param(f"{unit}/b/{name}", 1, width)
                if rank:
                    u = u + low @ self.param(f"{unit}/u/{name}", rank, width)
                else:
                    u = u + sum(v @ self.param(f"{unit}/w/{n}/{name}", v.shape[1], width)
                                for n, v in x)
                new.append((name, x0 * u + xl))
            x = new
        return x

    def meet(self, z):
        """z as each task sees it."""
        return Meet.apply(z, self.how) if self.how in ("pcgrad", "mgda") else [z] * K

    # ---- architectures: logits [n, K] ----

    def experts(self, level, group, n, x):
        if n == 0:
            rows = len(x[0][1] if isinstance(x, list) else x)
            return torch.zeros(0, rows, self.parts["experts"][-1])
        return torch.stack([self.mlp(f"expert/level{level}/{group}/{i}", x,
                                     self.parts["experts"]) for i in range(n)])

    def mixture(self, level, who, x, experts):
        g = torch.softmax(self.mlp(f"gate/level{level}/{who}", x, self.of(who, "gates"),
                                   sum(map(len, experts))), dim=1)
        return torch.einsum("be,ebh->bh", g, torch.cat(experts))

    def tower(self, k, x):
        return self.mlp(f"tower/{TASKS[k]}", x, self.of(TASKS[k], "towers"), 1)

    def ple(self, x, levels):
        own, shared = [self.of(task, "own") for task in TASKS], self.parts["shared"]
        task, common = [x] * K, x
        for level in range(levels):
            mine = [self.experts(level, TASKS[k], own[k], task[k]) for k in range(K)]
            ours = self.experts(level, "shared", shared, common)
            seen = self.meet(ours)
            new = [self.mixture(level, TASKS[k], task[k], [mine[k], seen[k]])
                   for k in range(K)]
            if level + 1 < levels:
                common = self.mixture(level, "shared", common, mine + [ours])
            task = new
        return [self.tower(k, task[k]) for k in range(K)]

    def side(self, name, x):
        """The unit vectors of all tasks: shared hidden layers, then a linear one per task."""
        h = self.mlp(name, x, self.parts[name][:-1]) if self.parts[name][1:] else x
        vectors = [self.linear(f"{name}/{t}", 0, h, self.parts[name][-1]) for t in TASKS]
        return [v / v.norm(dim=1, keepdim=True) for v in vectors]

    def two_tower(self, x):
        user, item = (self.side(n, self.cross(part)) for n, part in (("user", x[:3]),
                                                                     ("item", x[3:])))
        return [(user[k] * item[k]).sum(1, keepdim=True) / self.parts["temperature"] +
                self.param(f"match/{TASKS[k]}/b", 1, 1) for k in range(K)]

    def wide_part(self, tables, first, end):
        """Sum over the wide features: an id's row, numbers and levels times weights."""
        z = 0
        kinds = {f[0]: f[1] for f in FEATURES}
        for name, block in self.inputs(tables, first, end, 2):
            if name not in self.wide:
                continue
            if kinds[name] != "id":
                w = [self.param(f"wide/{t}/w/{name}", block.shape[1], 1) for t in TASKS]
                block = block @ torch.cat(w, 1)
            z = z + block
        return z

    def pairs(self, x, d):
        """Every two fields' vectors multiplied, one by one, weighted by task."""
        kinds = {f[0]: f[1] for f in FEATURES}
        v = [block if kinds[name] == "id" else
             block @ self.param(f"vector/{name}", block.shape[1], d) for name, block in x]
        p = sum(v[a] * v[b] for a in range(len(v)) for b in range(a + 1, len(v)))
        return p @ torch.cat([self.param(f"fm/{t}/w", d, 1) for t in TASKS], 1)

    def esmm(self, x):
        """ESMM in log space: log P of all steps up to one, log(1 - P) = log1mexp(log P)."""
        s = self.mlp("bottom", x, self.parts["bottom"]) if "bottom" in self.parts else x
        a = [self.tower(k, s) for k in range(K)]
        log_p, self.logs = torch.zeros(()), {}
        for k in self.parts["funnel"]:
            log_p = log_p + torch.nn.functional.logsigmoid(a[k])
            log_q = torch.where(log_p > -math.log(2), torch.log(-torch.expm1(log_p)),
                                torch.log1p(-torch.exp(log_p)))
            self.logs[k] = (log_p, log_q)
            a[k] = log_p - log_q
        return a

    def project(self, k, part, v):
        return v @ self.param(f"transfer/{TASKS[k]}/{part}/w", v.shape[1], v.shape[1])

    def aitm(self, x):
        """AITM: g' of a step is attention over what it is told and what its tower says."""
        s = self.mlp("bottom", x, self.parts["bottom"]) if "bottom" in self.parts else x
        g = [self.mlp(f"tower/{TASKS[k]}", s, self.parts["towers"]) for k in range(K)]
        dim = self.parts["towers"][-1]
        for before, k in zip(self.parts["funnel"], self.parts["funnel"][1:]):
            told = g[before].detach() if self.parts.get("stop") else g[before]
            u = torch.relu(self.project(k, "info", told) +
                           self.param(f"transfer/{TASKS[k]}/info/b", 1, dim))
            pair = [u, g[k]]
            scores = [(self.project(k, "query", v) * self.project(k, "key", v)).sum(1) / dim ** 0.5
                      for v in pair]
            a = torch.softmax(torch.stack(scores), 0)
            g[k] = sum(a[i, :, None] * self.project(k, "value", v) for i, v in enumerate(pair))
        return [self.linear(f"head/{TASKS[k]}", 0, g[k], 1) for k in range(K)]

    def forward(self, tables, first=0, end=B):
        z = self.main_part(tables, first, end)
        return z + self.wide_part(tables, first, end) if self.wide else z

    def main_part(self, tables, first, end):
        x = [(n, v) for n, v in self.inputs(tables, first, end) if n not in self.only]
        if self.kind == "two_tower":
            return torch.cat(self.two_tower(x), 1)
        start, x = x, self.cross(x)
        if self.kind == "fm":
            return self.pairs(x, 3) + torch.cat(
                [self.param(f"fm/{t}/b", 1, 1) for t in TASKS], 1)
        if self.kind == "lr":
            numbers = [(n, v) for (n, v), f in zip(x, FEATURES) if f[1] != "id"]
            direct = sum(v for (n, v), f in zip(x, FEATURES) if f[1] == "id")
            z = [self.linear(f"lr/{t}", 0, numbers, 1) for t in TASKS]
            return torch.cat(z, 1) + direct
        if self.kind in ("dnn", "wide_deep", "deepfm"):
            z = [self.mlp(f"dnn/{t}", x, self.parts["bottom"], 1) for t in TASKS]
            if self.kind == "deepfm":
                return torch.cat(z, 1) + self.pairs(start, 3)
        elif self.kind == "share_bottom":
            s = self.mlp("bottom", x, self.parts["bottom"])
            z = [self.tower(k, seen) for k, seen in enumerate(self.meet(s))]
        elif self.kind == "omoe":
            e = self.experts(0, "shared", self.parts["count"], x)
            mixed = self.meet(self.mixture(0, "shared", x, [e]))
            z = [self.tower(k, mixed[k]) for k in range(K)]
        elif self.kind == "mmoe":
            e = self.meet(self.experts(0, "shared", self.parts["count"], x))
            z = [self.tower(k, self.mixture(0, TASKS[k], x, [e[k]])) for k in range(K)]
        elif self.kind == "esmm":
            z = self.esmm(x)
        elif self.kind == "aitm":
            z = self.aitm(x)
        else:
            z = self.ple(x, self.parts.get("levels", 1))
        return torch.cat(z, 1)

    # ---- loss and training ----

    def losses(self, z, first=0, end=B):
        """Per task: sum of row weight * loss * scale over the rows with a label."""
        out = []
        for k in range(K):
            total = torch.zeros(())
            for r in range(first, end):
                y = LABELS[r][k]
                if math.isnan(y):
                    continue
                p, target = z[r - first, k], torch.tensor(float(y))
                if self.kind == "esmm" and k in self.logs:
                    log_p, log_q = self.logs[k]
                    loss = -(y * log_p[r - first, 0] + (1 - y) * log_q[r - first, 0])
                elif LOSSES[k] == "bce":
                    loss = torch.nn.functional.binary_cross_entropy_with_logits(p, target)
                else:
                    loss = torch.nn.functional.huber_loss(p, target, delta=HUBER_DELTA)
                total = total + WEIGHTS[r, k] * (loss + self.constraint(z[r - first], k))
            out.append(total * SCALES[k])
        return out

    def constraint(self, z, k):
        """AITM: how far a step is more likely than the one before."""
        steps = self.parts.get("funnel", [])
        if self.kind != "aitm" or k not in steps[1:]:
            return 0
        before = steps[steps.index(k) - 1]
        return CONSTRAINT * torch.relu(torch.sigmoid(z[k]) - torch.sigmoid(z[before]))

    def total(self, tables, first=0, end=B, step=0):
        self.training = (step, first, end)
        each = self.losses(self.forward(tables, first, end), first, end)
        self.training = None
        costs, weights = each, torch.tensor(TASK_WEIGHTS)
        if self.how == "uncertainty":
            costs = [torch.exp(-s) * loss + s / 2 * self.labels(k, first, end)
                     for k, (loss, s) in enumerate(zip(each, self.log_variances()))]
        if self.how == "dwa":
            fall = torch.tensor(LAST) / torch.tensor(BEFORE)
            weights = weights * K * torch.softmax(fall / TEMPERATURE, 0)
        return sum(w * cost for w, cost in zip(weights, costs)), each

    def log_variances(self):
        return [self.param(f"balance/{t}/log_variance", 1, 1).squeeze() for t in TASKS]

    def labels(self, k, first, end):
        """Scaled weight of the labels in the rows."""
        return SCALES[k] * sum(WEIGHTS[r, k] for r in range(first, end)
                               if not math.isnan(LABELS[r][k]))

    def report_step(self):
        tables = [t.clone().requires_grad_() for t in self.tables]
        z = self.forward(tables)
        if self.how == "uncertainty":
            self.log_variances()
        for t in range(len(tables)):
            put("table", str(t), self.tables[t].flatten().tolist())
        for name, p in self.params.items():
            put("param", name, p.detach().flatten().tolist())
        put("logits", "-", z.detach().flatten().tolist())
        total, each = self.total(tables)
        put("loss", "-", [v.item() for v in each])
        total.backward()
        for name, p in self.params.items():
            put("grad", name, p.grad.flatten().tolist(), 6)
        for t in range(len(tables)):
            put("row_grad", str(t), tables[t].grad.flatten().tolist(), 6)

    def report_run(self, run):
        start = {n: p.detach().clone() for n, p in self.params.items()}
        saved, self.params = self.params, {n: p.requires_grad_() for n, p in start.items()}
        tables = [t.clone() for t in self.tables]
        dense, rows = dense_optimizer(run, self.params), RowOptimizer(run, tables)
        for t, (first, end) in enumerate(STEPS):
            live = [x.clone().requires_grad_() for x in tables]
            dense.zero_grad()
            loss = self.total(live, first, end, t)[0]
            for i in range(2):  # (l2 / 2) |row|^2 of every row in use, once
                used = live[i][touched(i, first, end)]
                loss = loss + self.parts.get("l2", 0) / 2 * (used * used).sum()
            loss.backward()
            dense.step()
            for i in range(len(tables)):
                rows.step(i, tables[i], live[i].grad, touched(i % 2, first, end), t + 1)
        for name, p in self.params.items():
            put(f"after_{run}", name, p.detach().flatten().tolist(), 6)
        for i in range(len(tables)):
            put(f"rows_after_{run}", str(i), tables[i].flatten().tolist(), 6)
        self.params = saved


def touched(table, first, end):
    """Ids of a table that occur in rows [first, end)."""
    ids = set()
    for name, kind, where, _ in FEATURES:
        if kind == "id" and where == table:
            ids.update(*LISTS[name][first:end])
    return sorted(ids)


LR_DENSE, LR_ROWS, ACCUMULATOR, DECAY = 0.05, 0.1, 0.01, 0.1
BETA, L1, L2 = 0.4, 0.5, 0.5


class Ftrl:
    """One array under FTRL-Proximal, as McMahan et al. 2013 write it. The first weights
    stand in the middle of the first proximal term."""

    def __init__(self, w, lr):
        self.lr, self.n = lr, torch.zeros_like(w)
        self.z = -w.detach() * BETA / lr

    def step(self, w, g):
        sigma = ((self.n + g * g).sqrt() - self.n.sqrt()) / self.lr
        self.z += g - sigma * w
        self.n += g * g
        shrunk = -(self.z - self.z.sign() * L1) / ((BETA + self.n.sqrt()) / self.lr + L2)
        w.copy_(torch.where(self.z.abs() <= L1, torch.zeros_like(w), shrunk))


class DenseFtrl:
    def __init__(self, params):
        self.params = params
        self.each = [Ftrl(p, LR_DENSE) for p in params]

    def zero_grad(self):
        for p in self.params:
            p.grad = None

    @torch.no_grad()
    def step(self):
        for p, f in zip(self.params, self.each):
            f.step(p, p.grad)


def dense_optimizer(run, params):
    rest = {"b", "gain", "bias", "log_variance", "fm"}
    weights = [p for n, p in params.items() if not rest & set(n.split("/"))]
    biases = [p for n, p in params.items() if rest & set(n.split("/"))]
    if run == "ftrl":
        return DenseFtrl(weights + biases)
    if run == "sgd":
        return torch.optim.SGD(weights + biases, lr=LR_DENSE)
    if run == "adagrad":
        return torch.optim.Adagrad(weights + biases, lr=LR_DENSE, eps=1e-10,
                                   initial_accumulator_value=ACCUMULATOR)
    decay = DECAY if run == "rowwise_adagrad" else 0.0
    return torch.optim.AdamW([{"params": weights, "weight_decay": decay},
                              {"params": biases, "weight_decay": 0.0}], lr=LR_DENSE)


class RowOptimizer:
    """Rows that a step does not touch keep weights and state; t counts all steps."""

    def __init__(self, run, tables):
        self.run = run
        fill = ACCUMULATOR if "adagrad" in run else 0.0
        self.a = [torch.full_like(t, fill) for t in tables]
        self.b = [torch.zeros_like(t) for t in tables]
        self.ftrl = [[Ftrl(row, LR_ROWS) for row in t] for t in tables]

    def step(self, i, table, grad, ids, t):
        for u in ids:
            g = grad[u]
            if self.run == "sgd":
                table[u] -= LR_ROWS * g
            elif self.run == "ftrl":
                self.ftrl[i][u].step(table[u], g)
            elif self.run in ("adagrad", "rowwise_adagrad"):
                square = g * g
                self.a[i][u] += square if self.run == "adagrad" else square.mean()
                table[u] -= LR_ROWS * g / (self.a[i][u].sqrt() + 1e-10)
            else:
                self.a[i][u] = 0.9 * self.a[i][u] + 0.1 * g
                self.b[i][u] = 0.999 * self.b[i][u] + 0.001 * g * g
                m = self.a[i][u] / (1 - 0.9 ** t)
                v = self.b[i][u] / (1 - 0.999 ** t)
                table[u] -= LR_ROWS * m / (v.sqrt() + 1e-8)


def report_batch():
    for name, kind, where, pool in FEATURES:
        if kind == "id":
            flat = [x for ids in LISTS[name] for x in (len(ids), *ids)]
            put("list", name, flat)
    put("levels", "level", LEVELS)
    put("numbers", "num", NUMBERS.flatten().tolist())
    put("labels", "-", [v for row in LABELS for v in row])
    put("weights", "-", WEIGHTS.flatten().tolist())
    for layer, steps in MASKS.items():
        for step, rows in enumerate(steps):
            put("mask", f"{layer}/{step}", [int(c) for c in rows.replace(" ", "")])
    put("dwa", "last", LAST)
    put("dwa", "before", BEFORE)
    put("dwa", "temperature", [TEMPERATURE])


generator = torch.Generator().manual_seed(5)
NUMBERS = f32(torch.rand(B, 2, generator=generator) * 2 - 1)
WEIGHTS = f32(torch.rand(B, K, generator=generator) + 0.5)
LABELS = [[f32(torch.tensor(float(v))).item() for v in row] for row in LABELS]

if __name__ == "__main__":
    print("# made by generate.py with PyTorch", torch.__version__, file=sys.stderr)
    report_batch()
    for number, (name, kind, activation, parts) in enumerate(CASES):
        case = Case(number, name, kind, activation, parts)
        case.report_step()
        for run in RUNS if case.how == "fixed" else RUNS[:1]:
            case.report_run(run)
        assert case.how not in ("pcgrad", "mgda") or max(OPERATED) > 0.01, "nobody meets"
        OPERATED.clear()
    print("end - 0")
