/* Attention of the rows of one sequence over its KV cache, keys in blocks at fixed positions. */

/* The queries of one pass: up to QUERIES of those that look at one key head, first.. of rows * group. */
struct F(queries) {
    const float *q[QUERIES];
    int position[QUERIES];
    int count;
};

/* What a block of keys comes to for a query: its largest score, the sum of its weights, and the weighted values. */
struct F(part) {
    float most, sum;
};

static void F(gather)(const struct attention *a, int head, int first, struct F(queries) *to) {
    int group = a->heads / a->kv_heads, all = a->rows * group;
    to->count = all - first < QUERIES ? all - first : QUERIES;
    for (int i = 0; i < to->count; i++) {
        int row = (first + i) / group, member = (first + i) % group;
        to->q[i] = a->q + ((int64_t)row * a->heads + head * group + member) * a->dim;
        to->position[i] = a->start + row;
    }
}

/* Scores of `rows` queries and four keys: s [rows][KEYS], at the first of them. */
INLINE void F(scores4)(const float *const *q, const float *k, int dim, float scale, float *s, int rows) {
    vf acc[4][4];
    for (int r = 0; r < rows; r++)
        for (int i = 0; i < 4; i++) acc[r][i] = splat(0);
    for (int d = 0; d < dim; d += LANES) {
        vf k0 = load(k + d), k1 = load(k + dim + d), k2 = load(k + 2 * dim + d), k3 = load(k + 3 * dim + d);
        for (int r = 0; r < rows; r++) {
            vf x = load(q[r] + d);
            acc[r][0] = fma(x, k0, acc[r][0]);
            acc[r][1] = fma(x, k1, acc[r][1]);
            acc[r][2] = fma(x, k2, acc[r][2]);
            acc[r][3] = fma(x, k3, acc[r][3]);
        }
    }
    for (int r = 0; r < rows; r++)
        _mm_storeu_ps(s + r * KEYS,
                      _mm_mul_ps(F(sum4)(acc[r][0], acc[r][1], acc[r][2], acc[r][3]), _mm_set1_ps(scale)));
}

/* Adds the values of SOME keys by their weights p [rows][KEYS] to out [rows][stride]. */
INLINE void F(values4)(const float *p, const float *v, int dim, float *out, int64_t stride, int rows, int vectors) {
    vf acc[4][4];
    for (int r = 0; r < rows; r++)
        for (int i = 0; i < vectors; i++) acc[r][i] = load(out + r * stride + i * LANES);
    for (int key = 0; key < SOME; key++) {
        vf value[4];
        for (int i = 0; i < vectors; i++) value[i] = load(v + (int64_t)key * dim + i * LANES);
        for (int r = 0; r < rows; r++) {
            vf weight = splat(p[r * KEYS + key]);
            for (int i = 0; i < vectors; i++) acc[r][i] = fma(weight, value[i], acc[r][i]);
        }
    }
    for (int r = 0; r < rows; r++)
        for (int i = 0; i < vectors; i++) store(out + r * stride + i * LANES, acc[r][i]);
}

/* Scores of a block of keys, those hidden from a query at -infinity, to weights e^(score - most). */
static struct F(part) F(weigh)(float *s, int from, int to) {
    for (int key = 0; key < KEYS; key++)
        if (key < from || key >= to) s[key] = -INFINITY;
    vf most = load(s);
    for (int key = LANES; key < KEYS; key += LANES) most = vmax(most, load(s + key));
    struct F(part) part = {F(largest)(most), 0};
    if (from >= to) {
        memset(s, 0, sizeof(float) * KEYS);
        return part;
    }
    vf sum = splat(0);
    for (int key = 0; key < KEYS; key += LANES) {
        vf weight = F(exp)(load(s + key) - splat(part.most));
        store(s + key, weight);
        sum += weight;
    }
    part.sum = F(sum)(sum);
    return part;
}

/* SOME keys' vectors as float32, converted into `to` where they are kept in 16 bits. */
INLINE const float *F(floats)(const struct attention *a, const void *from, int64_t at, float *to) {
    if (!a->half) return (const float *)from + at;
    for (int i = 0; i < SOME * a->dim; i += LANES) store(to + i, F(load_half)((const uint16_t *)from + at + i));
    return to;
}

/* One block of keys for one pass of queries: parts [count], out [count][stride]. */
static void F(block)(const struct attention *a, int head, const struct F(queries) *queries, int block,
                     struct F(part) *parts, float *out, int64_t stride) {
    float s[QUERIES * KEYS] __attribute__((aligned(64))), converted[SOME * MAX_DIM] __attribute__((aligned(64)));
    int64_t at = ((int64_t)head * a->capacity + (int64_t)block * KEYS) * a->dim;
    int r, count = queries->count;
    for (int first = 0; first < KEYS; first += SOME) {
        const float *k = F(floats)(a, a->keys, at + (int64_t)first * a->dim, converted);
        for (int key = first; key < first + SOME; key += 4, k += 4 * a->dim) { /* four keys stay in the first cache */
            for (r = 0; r + 4 <= count; r += 4) F(scores4)(queries->q + r, k, a->dim, a->scale, s + r * KEYS + key, 4);
            for (; r < count; r++) F(scores4)(queries->q + r, k, a->dim, a->scale, s + r * KEYS + key, 1);
        }
    }
    for (r = 0; r < count; r++) {
        int to = queries->position[r] + 1 - block * KEYS, from = a->window ? to - a->window : 0;
        parts[r] = F(weigh)(s + r * KEYS, from < 0 ? 0 : from, to > KEYS ? KEYS : to);
        memset(out + r * stride, 0, sizeof(float) * a->dim);
    }
    for (int first = 0; first < KEYS; first += SOME) {
        const float *weights = s + first, *v = F(floats)(a, a->values, at + (int64_t)first * a->dim, converted);
        int d = 0;
        for (; d + 4 * LANES <= a->dim; d += 4 * LANES) {
            for (r = 0; r + 4 <= count; r += 4)
                F(values4)(weights + r * KEYS, v + d, a->dim, out + r * stride + d, stride, 4, 4);
            for (; r < count; r++) F(values4)(weights + r * KEYS, v + d, a->dim, out + r * stride + d, stride, 1, 4);
        }
        for (; d < a->dim; d += LANES)
            for (r = 0; r < count; r++)
                F(values4)(weights + r * KEYS, v + d, a->dim, out + r * stride + d, stride, 1, 1);
    }
}

/* Adds a block to those before it. One that is all hidden adds nothing. */
static void F(combine)(struct F(part) *sum, float *out, struct F(part) part, const float *add, int dim) {
    float most = sum->most > part.most ? sum->most : part.most;
    if (part.most == -INFINITY) return;
    vf old = sum->most == -INFINITY ? splat(0) : F(exp)(splat(sum->most - most)), new = F(exp)(splat(part.most - most));
    for (int d = 0; d < dim; d += LANES) store(out + d, fma(load(out + d), old, load(add + d) * new));
    sum->sum = sum->sum * old[0] + part.sum * new[0];
    sum->most = most;
}

static void F(output)(const struct attention *a, int head, int query, struct F(part) sum, const float *from) {
    int group = a->heads / a->kv_heads;
    float *to = a->out + ((int64_t)(query / group) * a->heads + head * group + query % group) * a->dim;
    vf inverse = splat(1.0f / sum.sum);
    for (int d = 0; d < a->dim; d += LANES) store(to + d, load(from + d) * inverse);
}

/* The blocks that a pass of queries looks at. */
static void F(reach)(const struct attention *a, const struct F(queries) *queries, int *from, int *to) {
    *to = queries->position[queries->count - 1] / KEYS + 1;
    *from = a->window && queries->position[0] >= a->window ? (queries->position[0] - a->window + 1) / KEYS : 0;
}

/* What all threads of a call share. split: into how many parts the keys are cut; 1: a thread takes all of them. */
struct F(plan) {
    int queries, passes, groups, split;
    int64_t each; /* floats of a pass's results */
    float *outs;  /* [kv_heads][passes][split][each], or [threads][GROUP + 1][each] */
    struct F(part) *parts;
};

/* Groups of passes: each block of keys is read once for a group. */
static void F(whole)(const struct attention *a, const struct F(plan) *plan) {
    float *sums = plan->outs + (GROUP + 1) * plan->each * omp_get_thread_num(), *add = sums + GROUP * plan->each;
    struct F(queries) queries[GROUP];
    struct F(part) totals[GROUP][QUERIES], part[QUERIES];
#pragma omp for schedule(static)
    for (int group = 0; group < plan->groups * a->kv_heads; group++) {
        int head = group / plan->groups, pass = group % plan->groups * GROUP, from[GROUP], to[GROUP];
        int count = plan->passes - pass < GROUP ? plan->passes - pass : GROUP;
        memset(sums, 0, sizeof(float) * plan->each * count);
        for (int i = 0; i < count; i++) {
            F(gather)(a, head, (pass + i) * QUERIES, queries + i);
            F(reach)(a, queries + i, from + i, to + i);
            for (int r = 0; r < QUERIES; r++) totals[i][r] = (struct F(part)){-INFINITY, 0};
        }
        for (int b = from[0]; b < to[count - 1]; b++)
            for (int i = 0; i < count; i++) {
                if (b < from[i] || b >= to[i]) continue;
                F(block)(a, head, queries + i, b, part, add, a->dim);
                for (int r = 0; r < queries[i].count; r++)
                    F(combine)(totals[i] + r, sums + i * plan->each + (int64_t)r * a->dim, part[r],
                               add + (int64_t)r * a->dim, a->dim);
            }
        for (int i = 0; i < count; i++)
            for (int r = 0; r < queries[i].count; r++)
                F(output)(a, head, (pass + i) * QUERIES + r, totals[i][r], sums + i * plan->each + (int64_t)r * a->dim);
    }
}

/* Where a pass's results for a block of keys stand. */
INLINE int64_t F(place)(const struct F(plan) *plan, int head, int pass, int b) {
    return ((int64_t)head * plan->passes + pass) * plan->split + b;
}

static void F(in_parts)(const struct attention *a, const struct F(plan) *plan) {
#pragma omp for schedule(static)
    for (int task = 0; task < a->kv_heads * plan->split * plan->passes; task++) {
        int pass = task % plan->passes, b = task / plan->passes % plan->split, head = task / plan->passes / plan->split;
        int64_t place = F(place)(plan, head, pass, b);
        struct F(part) *parts = plan->parts + place * QUERIES;
        struct F(queries) queries;
        int from, to;
        F(gather)(a, head, pass * QUERIES, &queries);
        F(reach)(a, &queries, &from, &to);
        if (b >= from && b < to) F(block)(a, head, &queries, b, parts, plan->outs + place * plan->each, a->dim);
        else
            for (int r = 0; r < queries.count; r++) parts[r] = (struct F(part)){-INFINITY, 0};
    }
#pragma omp for schedule(static)
    for (int query = 0; query < a->kv_heads * plan->queries; query++) {
        int head = query / plan->queries, mine = query % plan->queries, r = mine % QUERIES;
        int64_t place = F(place)(plan, head, mine / QUERIES, 0);
        struct F(part) total = {-INFINITY, 0};
        float sum[MAX_DIM];
        memset(sum, 0, sizeof(float) * a->dim);
        for (int b = 0; b < plan->split; b++)
            F(combine)(&total, sum, plan->parts[(place + b) * QUERIES + r],
                       plan->outs + (place + b) * plan->each + (int64_t)r * a->dim, a->dim);
        F(output)(a, head, mine, total, sum);
    }
}

/* How a call is cut up, and room for its results; give it back with `unplan` in any case. */
static int F(make_plan)(const struct attention *a, int threads, struct F(plan) *plan) {
    plan->queries = a->rows * (a->heads / a->kv_heads);
    plan->passes = (plan->queries + QUERIES - 1) / QUERIES;
    plan->groups = (plan->passes + GROUP - 1) / GROUP;
    plan->each = (int64_t)QUERIES * a->dim;
    int blocks = (a->start + a->rows + KEYS - 1) / KEYS;
    /* Few queries leave threads idle unless each takes some of the keys; then all parts are kept, and added up after. */
    plan->split = threads > 1 && plan->groups * a->kv_heads < 2 * threads ? blocks : 1;
    int64_t results = plan->split == 1 ? (GROUP + 1) * threads : (int64_t)a->kv_heads * plan->passes * plan->split;
    plan->outs = malloc(sizeof(float) * plan->each * results);
    plan->parts = malloc(sizeof(struct F(part)) * QUERIES * results);
    return plan->outs && plan->parts;
}

static void F(unplan)(struct F(plan) *plan) {
    free(plan->outs);
    free(plan->parts);
}

/* By a team of threads, or by one alone: each calls this. */
static void F(attend)(const struct attention *a, const struct F(plan) *plan) {
    if (plan->split == 1) F(whole)(a, plan);
    else F(in_parts)(a, plan);
}

static int F(attention)(const struct attention *a, int threads) {
    struct F(plan) plan;
    if ((int64_t)a->rows * a->heads * (a->start + a->rows) * a->dim <= LITTLE) threads = 1;
    int ok = F(make_plan)(a, threads, &plan);
    if (ok && threads == 1) {
        F(attend)(a, &plan);
    } else if (ok) {
#pragma omp parallel num_threads(threads)
        F(attend)(a, &plan);
    }
    F(unplan)(&plan);
    return ok ? 0 : -1;
}
