"""Steps of training and rankings of the hybrid recommender in PyTorch, for bench/hybrid. Run by it, with the Python of
MOIRE_PYTHON.

    hybrid_torch.py REFERENCE DATA WIDTH THREADS

REFERENCE is the folder of hybrid.py, whose modules hold the parameters and are timed as they are written ("step
written ..."). "step cuts ..." is what a careful user would write with the same parameters: each item encoded once,
reviews where there are some, queries folded into keys, histories pooled by embedding_bag before they are projected,
attention over one key as one matrix, small tables projected before they are looked up. Answers are seconds; "cpu"
is the processor time of what was asked before.
"""
import json
import os
import struct
import sys
import time

import torch
from torch.nn import functional as F

reference, data, width, threads = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
sys.path.insert(0, reference)
from hybrid import HybridRecommender  # noqa: E402

torch.set_num_threads(threads)
torch.manual_seed(1)
RELATIONS, SLOTS, BATCH, BUCKETS = ("genre", "director", "keyword", "writer"), 50, 512, 64


def rows(name):
    with open(os.path.join(data, name), encoding="utf-8") as file:
        return [line.rstrip("\n").split("\t") for line in file]


def tensors(path):
    kinds = {"F32": torch.float32, "F16": torch.float16, "I64": torch.int64, "U8": torch.uint8}
    with open(path, "rb") as file:
        head = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        blob = bytearray(file.read())
    return {n: torch.frombuffer(blob, dtype=kinds[t["dtype"]], count=(t["data_offsets"][1] - t["data_offsets"][0])
                                // kinds[t["dtype"]].itemsize, offset=t["data_offsets"][0]).reshape(t["shape"])
            for n, t in head.items() if n != "__metadata__"}


# ---- data
context_rows = rows("context.tsv")[1:]
sizes = [int(r[1]) for r in rows("context_sizes.tsv")[1:]]
M = max(int(r[0]) for r in context_rows)
context = torch.zeros(M, len(sizes), dtype=torch.long)
for r in context_rows:
    context[int(r[0]) - 1] = torch.tensor([int(x) for x in r[1:]])
nodes = {r: len(rows(f"graph/{r}.nodes.tsv")) - 1 for r in RELATIONS}
edges = {r: torch.tensor([[int(e[0]) - 1, int(e[1])] for e in rows(f"graph/{r}.edges.tsv")[1:]]).T.contiguous()
         for r in RELATIONS}
text = tensors(os.path.join(data, "text_embeddings.safetensors"))
at = text["movie_ids"] - 1
overview = torch.zeros(M, width)
overview[at] = text["overview"].float()
reviews = torch.zeros(M, text["reviews"].shape[1], width)
reviews[at] = text["reviews"].float()
review_mask = torch.zeros(M, reviews.shape[1], dtype=torch.uint8)
review_mask[at] = text["review_mask"]
movies = dict(overview=overview, reviews=reviews, review_mask=review_mask, context=context, edges=edges)
reviewed = review_mask.bool().any(1).nonzero().squeeze(1)

users, likes, positives = {}, {}, []
for u, i, rating, when in rows("u1.base"):
    users.setdefault(u, []).append((float(when), int(i) - 1, int(rating)))
numbers = {u: n for n, u in enumerate(users)}
history = torch.zeros(4, len(users), SLOTS, dtype=torch.long)  # ids, ratings, times, mask
for u, events in users.items():
    events.sort(key=lambda e: e[0])
    first, last = events[0][0], events[-1][0]
    for s, (when, i, rating) in enumerate(events[-SLOTS:]):
        bucket = int((when - first) / (last - first) * (BUCKETS - 1)) if last > first else 0
        history[:, numbers[u], s] = torch.tensor([i, rating, bucket, 1])
for u, i, rating, _ in rows("u1.base"):
    if int(rating) >= 4:
        positives.append((numbers[u], int(i) - 1))
positives = torch.tensor(positives)
tested = sorted({numbers[u] for u, _, rating, _ in rows("u1.test") if int(rating) >= 4 and u in numbers})
tested = torch.tensor(tested)

model = HybridRecommender(dict(hidden_size=width), sizes, nodes)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)


# ---- with short cuts
def attention(conv, x, to, source, target):
    heads, c = conv.att_src.shape[1:]
    w = conv.lin.weight.view(heads, c, -1)
    key = lambda a: torch.einsum("hc,hcd->hd", a[0], w)  # noqa: E731
    score = F.leaky_relu((x @ key(conv.att_src).T)[source] + (to @ key(conv.att_dst).T)[target], 0.2)
    n = len(to)
    top = score.new_zeros(n, heads).scatter_reduce(0, target[:, None].expand_as(score), score.detach(), "amax",
                                                   include_self=False)
    weight = torch.exp(score - top[target])
    weight = weight / weight.new_zeros(n, heads).index_add(0, target, weight)[target]
    if len(x) <= n:
        z = (x @ conv.lin.weight.T).view(-1, heads, c)
        out = z.new_zeros(n, heads, c).index_add(0, target, weight.unsqueeze(-1) * z[source])
    else:
        pooled = x.new_zeros(n, heads, x.shape[1]).index_add(0, target, weight.unsqueeze(-1) * x[source].unsqueeze(1))
        out = torch.einsum("nhd,hcd->nhc", pooled, w)
    return out.reshape(n, -1) + conv.bias


def encode_items():
    e, g = model.text_pipeline.item_encoder, model.graph_pipeline.item_gnn
    own, x = overview[reviewed], overview
    if len(reviewed):
        summary = e.review_agg(reviews[reviewed], review_mask[reviewed])
        alpha = e.gate_net(torch.cat([own, summary], -1))
        x = overview.index_put((reviewed,), alpha * own + (1 - alpha) * summary)
    t = e.norm(x)
    parts = g.movie_lin.weight.split(width, 1)
    h = g.movie_lin.bias + sum((table.weight @ w.T)[context[:, f]] for f, (table, w) in enumerate(zip(g.movie_feat_embs, parts)))
    messages = 0
    for r in RELATIONS:
        movie, node = edges[r]
        y = attention(g.conv1.convs[f"<movie___has_{r}___{r}>"], h, g.attr_embs[r].weight, movie, node)
        y = g.norm(F.leaky_relu(y, 0.2))
        messages = messages + attention(g.conv2.convs[f"<{r}___{r}_of___movie>"], y, h, node, movie)
    return t, g.norm(h + messages)


def pool(p, tables, indices):
    """p (B, S): the sum over positions of p times rows of all tables."""
    total = 0
    for table, index in zip(tables, indices):
        if len(table) <= 64:
            counts = p.new_zeros(len(p), len(table)).scatter_add(1, index, p)
            total = total + counts @ table
        else:
            total = total + F.embedding_bag(index, table, per_sample_weights=p, mode="sum")
    return total


def softmax(score, mask):
    return torch.softmax(score.masked_fill(~mask, -torch.inf), -1).nan_to_num(0.0)


def encode_users(t, g, ids, ratings, times, mask):
    mask = mask.bool()
    ids, ratings = ids * mask, ratings * mask
    e = model.text_pipeline.user_encoder
    key = e.user_query[0] @ e.key_layer.weight / width ** 0.5
    er = e.rating_emb.weight
    p = e.dropout(softmax((t @ key)[ids] + (er @ key)[ratings], mask))
    pooled = pool(p, (t, er), (ids, ratings))
    u_text = e.norm(pooled @ e.value_layer.weight.T + p.sum(1, keepdim=True) * e.value_layer.bias)
    e = model.graph_pipeline.user_encoder
    heads, (wq, wk, wv) = e.mha.heads, e.mha.in_proj_weight.chunk(3)
    bq, _, bv = e.mha.in_proj_bias.chunk(3)
    c = width // heads
    q = F.linear(e.user_query[0], wq, bq).view(heads, c)
    keys = torch.einsum("hc,hcd->hd", q, wk.view(heads, c, width)) / c ** 0.5
    er, et = e.rating_emb.weight, e.time_emb.weight
    score = (g @ keys.T)[ids] + (er @ keys.T)[ratings] + (et @ keys.T)[times]
    out = []
    for h in range(heads):
        p = softmax(score[..., h], mask)
        pooled = pool(p, (g, er, et), (ids, ratings, times))
        out.append(pooled @ wv[h * c:(h + 1) * c].T + p.sum(1, keepdim=True) * bv[h * c:(h + 1) * c])
    return u_text, e.norm(e.mha.out_proj(torch.cat(out, 1)))


def one_key():
    _, _, wv = model.cross_attn.in_proj_weight.chunk(3)
    _, _, bv = model.cross_attn.in_proj_bias.chunk(3)
    out = model.cross_attn.out_proj
    return out.weight @ wv, out.weight @ bv + out.bias


def loss_with_cuts(user, positive, negative, hidden):
    t, g = encode_items()
    h = history[:, user]
    u_text, u_graph = encode_users(t, g, h[0], h[1], h[2], h[3] - hidden)
    u = model.fuse(model.user_fusion_gate, u_text, u_graph)
    a, c = one_key()
    chosen, back = torch.cat([positive, negative]), None
    if not torch.compiler.is_compiling():
        chosen, back = torch.unique(chosen, return_inverse=True)
    attended = model.fuse(model.item_fusion_gate, t[chosen], g[chosen]) @ a.T + c
    if back is not None:
        attended = attended[back]
    pos, neg = model.predictor(attended[:BATCH] * u), model.predictor(attended[BATCH:] * u)
    bpr = -F.logsigmoid(pos - neg).mean()
    logits = F.normalize(u_text, dim=1) @ F.normalize(u_graph, dim=1).T / 0.1
    return bpr + 0.1 * F.cross_entropy(logits, torch.arange(BATCH))


def loss_as_written(user, positive, negative, hidden):
    h = history[:, user]
    return model.loss(movies, (h[0], h[1], h[2], h[3] - hidden), positive, negative)[0]


compiled = {}


def step(loss):
    sample = positives[torch.randint(len(positives), (BATCH,))]
    hidden = (torch.rand(BATCH, SLOTS) < 0.1).long() * history[3, sample[:, 0]]
    hidden[hidden.sum(1) == history[3, sample[:, 0]].sum(1)] = 0
    negative = torch.randint(M, (BATCH,))
    optimizer.zero_grad(set_to_none=True)
    loss(sample[:, 0], sample[:, 1], negative, hidden).backward()
    optimizer.step()


@torch.no_grad()
def rank():
    model.eval()
    t, g = encode_items()
    a, c = one_key()
    attended = model.fuse(model.item_fusion_gate, t, g) @ a.T + c
    one, two, three = model.predictor[0], model.predictor[3], model.predictor[5]
    for users_ in tested.split(16):
        u_text, u_graph = encode_users(t, g, *history[:, users_])
        u = model.fuse(model.user_fusion_gate, u_text, u_graph)
        x = torch.relu((one.weight * u.unsqueeze(1)) @ attended.T + one.bias[:, None])
        x = torch.relu(two.weight @ x + two.bias[:, None])
        scores = (three.weight @ x + three.bias[:, None]).squeeze(1)
        for i, user in enumerate(users_.tolist()):
            scores[i, history[0, user][history[3, user] > 0]] = -torch.inf
        scores.topk(50, 1)
    model.train()


def check():
    """The short cuts compute what is written."""
    model.eval()
    sample, hidden = positives[:BATCH], torch.zeros(BATCH, SLOTS, dtype=torch.long)
    negative = torch.arange(BATCH) % M
    with torch.no_grad():
        a, b = (f(sample[:, 0], sample[:, 1], negative, hidden).item() for f in (loss_as_written, loss_with_cuts))
    model.train()
    if not abs(a - b) < 1e-4 * abs(a):
        sys.exit(f"hybrid_torch.py: the loss is {a} as written and {b} with short cuts")


check()
print("ready", flush=True)
used = 0.0
for line in sys.stdin:
    words = line.split()
    if words == ["cpu"]:
        print(used, flush=True)
        continue
    wall, work = time.perf_counter(), time.process_time()
    if words == ["rank"]:
        rank()
    else:
        loss = loss_with_cuts if words[1] == "cuts" else loss_as_written
        if words[2] == "compiled":
            loss = compiled.setdefault(words[1], torch.compile(loss))
        step(loss)
    used = time.process_time() - work
    print(time.perf_counter() - wall, flush=True)
