/* The kernels for vectors of LANES 32-bit lanes; F(name) names them for one instruction set. See kernels.c. */

#if LANES == 16
#define WIDE(name) _mm512_##name
typedef __m512 F(raw);
typedef __m512i F(rawi);
#else
#define WIDE(name) _mm256_##name
typedef __m256 F(raw);
typedef __m256i F(rawi);
#endif

typedef float F(vf) __attribute__((vector_size(4 * LANES)));
typedef int32_t F(vi) __attribute__((vector_size(4 * LANES)));
typedef uint32_t F(vu) __attribute__((vector_size(4 * LANES)));
typedef int16_t F(vs) __attribute__((vector_size(2 * LANES)));
#define vf F(vf)
#define vi F(vi)
#define vu F(vu)
#define vs F(vs)
#define raw F(raw)
#define rawi F(rawi)

INLINE vf F(load)(const float *p) { return (vf)WIDE(loadu_ps)(p); }
INLINE void F(store)(float *p, vf v) { WIDE(storeu_ps)(p, (raw)v); }
INLINE vf F(splat)(float x) { return (vf)WIDE(set1_ps)(x); }
INLINE vi F(splati)(int32_t x) { return (vi)WIDE(set1_epi32)(x); }
INLINE vf F(fma)(vf a, vf b, vf c) { return (vf)WIDE(fmadd_ps)((raw)a, (raw)b, (raw)c); }
INLINE vf F(max)(vf a, vf b) { return (vf)WIDE(max_ps)((raw)a, (raw)b); }
INLINE vi F(nearest)(vf a) { return (vi)WIDE(cvtps_epi32)((raw)a); }
INLINE vf F(tofloat)(vi a) { return (vf)WIDE(cvtepi32_ps)((rawi)a); }
#define load F(load)
#define store F(store)
#define splat F(splat)
#define splati F(splati)
#define fma F(fma)
#define vmax F(max)
#define nearest F(nearest)
#define tofloat F(tofloat)

/* acc + the products of pairs of 16-bit numbers */
INLINE vi F(dot)(vi acc, vi a, vi b) {
#if LANES == 16
    return (vi)_mm512_dpwssd_epi32((rawi)acc, (rawi)a, (rawi)b);
#else
    return acc + (vi)_mm256_madd_epi16((rawi)a, (rawi)b);
#endif
}

INLINE vf F(load_half)(const uint16_t *p) {
#if LANES == 16
    return (vf)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
#else
    return (vf)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
#endif
}

INLINE vi F(load_short)(const int16_t *p) {
#if LANES == 16
    return (vi)_mm512_cvtepi16_epi32(_mm256_loadu_si256((const __m256i *)p));
#else
    return (vi)_mm256_cvtepi16_epi32(_mm_loadu_si128((const __m128i *)p));
#endif
}

/* The sum of eight lanes, and of sixteen: the upper half is added to the lower until one is left. */
INLINE float F(sum)(vf v) {
#if LANES == 16
    __m256 w = _mm256_add_ps(_mm512_castps512_ps256((raw)v), _mm512_extractf32x8_ps((raw)v, 1));
#else
    __m256 w = (raw)v;
#endif
    __m128 x = _mm_add_ps(_mm256_castps256_ps128(w), _mm256_extractf128_ps(w, 1));
    x = _mm_add_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_add_ss(x, _mm_movehdup_ps(x)));
}

/* The sums of four vectors, in four lanes. */
INLINE __m128 F(sum4)(vf a, vf b, vf c, vf d) {
    raw ab = WIDE(add_ps)(WIDE(unpacklo_ps)((raw)a, (raw)b), WIDE(unpackhi_ps)((raw)a, (raw)b));
    raw cd = WIDE(add_ps)(WIDE(unpacklo_ps)((raw)c, (raw)d), WIDE(unpackhi_ps)((raw)c, (raw)d));
    vf all = (vf)WIDE(add_ps)(WIDE(shuffle_ps)(ab, cd, 0x44), WIDE(shuffle_ps)(ab, cd, 0xee));
#if LANES == 16
    __m256 half = _mm256_add_ps(_mm512_castps512_ps256((raw)all), _mm512_extractf32x8_ps((raw)all, 1));
#else
    __m256 half = (raw)all;
#endif
    return _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
}

INLINE float F(largest)(vf v) {
    float m = v[0];
    for (int i = 1; i < LANES; i++) m = v[i] > m ? v[i] : m;
    return m;
}

/* e^x for x <= 88, 0 below -87; exactly 1 at 0. Cody and Waite's reduction and the Taylor series to x^7, which is
   within 1e-7 on [-ln 2 / 2, ln 2 / 2]. */
INLINE vf F(exp)(vf x) {
    vi n = nearest(x * splat(1.44269504f));
    vf r = fma(tofloat(n), splat(-0.693359375f), x);
    r = fma(tofloat(n), splat(2.12194440e-4f), r);
    vf y = splat(1.0f / 5040);
    y = fma(y, r, splat(1.0f / 720));
    y = fma(y, r, splat(1.0f / 120));
    y = fma(y, r, splat(1.0f / 24));
    y = fma(y, r, splat(1.0f / 6));
    y = fma(y, r, splat(0.5f));
    y = fma(y, r, splat(1.0f));
    y = fma(y, r, splat(1.0f));
    vf scaled = y * (vf)((n + 127) << 23);
    return (vf)((vi)scaled & (x > splat(-87.0f)));
}

/* ---- linear ---------------------------------------------------------------------------------------------------- */

/* A row as 16-bit numbers, with a scale and a sum for each block. Blocks of all rows stand together: [blocks][rows]. */
static void F(quantize)(const struct linear *l, const float *x, int16_t *a, float *scale, int32_t *sum, int row, int rows) {
    float ordered[MAX_BLOCK];
    for (int b = 0; b < l->in / l->block; b++) {
        const float *from = x + (int64_t)b * l->block;
        if (l->order) {
            for (int i = 0; i < l->block; i++) ordered[i] = x[l->order[b * l->block + i]];
            from = ordered;
        }
        vf most = splat(0);
        for (int i = 0; i < l->block; i += LANES) {
            vf v = load(from + i);
            most = vmax(most, vmax(v, -v));
        }
        float m = F(largest)(most);
        float inverse = m > 1e-30f ? 32767.0f / m : 0.0f;
        int16_t *to = a + ((int64_t)b * rows + row) * l->block;
        vi total = splati(0);
        for (int i = 0; i < l->block; i += LANES) {
            vi v = nearest(load(from + i) * splat(inverse));
            vs narrow = __builtin_convertvector(v, vs);
            memcpy(to + i, &narrow, sizeof narrow);
            total += v;
        }
        int32_t all = 0;
        for (int i = 0; i < LANES; i++) all += total[i];
        scale[(int64_t)b * rows + row] = m / 32767.0f * l->gain;
        sum[(int64_t)b * rows + row] = all;
    }
}

INLINE vi F(pair)(const int16_t *a) { /* two neighbouring numbers, in every lane */
    int32_t both;
    memcpy(&both, a, sizeof both);
    return splati(both);
}

/* What a block adds to LANES outputs of a row: scale_x * (scale_w * (sum a q - middle * sum a) - scale_w zero sum a) */
INLINE vf F(finish)(const struct linear *l, vf y, vi acc, int middle, int32_t sum, float scale, int64_t at) {
    vf weight = F(load_half)(l->scales + at);
    vf t = tofloat(acc - splati(middle * sum)) * weight;
    if (l->zeros) t = fma(-tofloat(F(load_short)(l->zeros + at)) * weight, splat((float)sum), t);
    return fma(splat(scale), t, y);
}

INLINE void F(write)(const struct linear *l, float *y, int column, vf value) {
    float all[LANES];
    int count = l->out - column < LANES ? l->out - column : LANES;
    if (count <= 0) return;
    store(all, value);
    for (int i = 0; i < count; i++) y[column + i] = all[i] + (l->bias ? l->bias[column + i] : 0.0f);
}

/* Up to FEW rows: two vectors of columns, weights unpacked into registers. */
INLINE void F(few)(const struct linear *l, const int16_t *a, const float *scale, const int32_t *sum, float *y, int rows,
                   int total, int column, int bits) {
    const int per_word = 32 / bits, pairs = per_word / 2, middle = 1 << (bits - 1);
    const int groups = l->in / l->block / l->blocks_per_group, inside = column % TILE;
    const uint32_t *w = l->words + (int64_t)(column - inside) * (l->in / per_word) + inside;
    const vu mask = (vu)splati(((1 << bits) - 1) * 0x10001);
    vf out[FEW][2];
    for (int r = 0; r < rows; r++) out[r][0] = out[r][1] = splat(0);
    for (int b = 0; b < l->in / l->block; b++) {
        vi acc[FEW][2][2];
        for (int r = 0; r < rows; r++)
            for (int i = 0; i < 4; i++) acc[r][i / 2][i % 2] = splati(0);
        const int16_t *from = a + (int64_t)b * total * l->block;
        for (int k = 0; k < l->block; k += per_word, w += TILE) {
            vu w0, w1;
            memcpy(&w0, w, sizeof w0);
            memcpy(&w1, w + LANES, sizeof w1);
            for (int p = 0; p < pairs; p++) {
                vi q0 = (vi)(w0 >> (bits * p) & mask), q1 = (vi)(w1 >> (bits * p) & mask);
                for (int r = 0; r < rows; r++) {
                    vi x = F(pair)(from + r * l->block + k + 2 * p);
                    acc[r][0][p & 1] = F(dot)(acc[r][0][p & 1], x, q0);
                    acc[r][1][p & 1] = F(dot)(acc[r][1][p & 1], x, q1);
                }
            }
        }
        int64_t at = ((int64_t)(column / TILE) * groups + b / l->blocks_per_group) * TILE + inside;
        for (int r = 0; r < rows; r++)
            for (int j = 0; j < 2; j++)
                out[r][j] = F(finish)(l, out[r][j], acc[r][j][0] + acc[r][j][1], middle, sum[(int64_t)b * total + r],
                                      scale[(int64_t)b * total + r], at + j * LANES);
    }
    for (int r = 0; r < rows; r++)
        for (int j = 0; j < 2; j++) F(write)(l, y + (int64_t)r * l->out, column + j * LANES, out[r][j]);
}

#define STRIP 4 /* rows whose sums stay in registers; eight make the compiler spill, at half the speed */

INLINE void F(strip)(const struct linear *l, const vi (*q)[2], const int16_t *a, const float *scale, const int32_t *sum,
                     float *out, int rows, int middle, int64_t at) {
    vi acc[STRIP][2];
    for (int r = 0; r < rows; r++) acc[r][0] = acc[r][1] = splati(0);
    for (int p = 0; p < l->block / 2; p++)
        for (int r = 0; r < rows; r++) {
            vi x = F(pair)(a + r * l->block + 2 * p);
            acc[r][0] = F(dot)(acc[r][0], x, q[p][0]);
            acc[r][1] = F(dot)(acc[r][1], x, q[p][1]);
        }
    for (int r = 0; r < rows; r++)
        for (int j = 0; j < 2; j++) {
            float *to = out + (r * 2 + j) * LANES;
            store(to, F(finish)(l, load(to), acc[r][j], middle, sum[r], scale[r], at + j * LANES));
        }
}

/* Up to CHUNK rows: two vectors of columns, a block of weights unpacked into memory for all rows. */
INLINE void F(many)(const struct linear *l, const int16_t *a, const float *scale, const int32_t *sum, float *y, int rows,
                    int total, int column, int bits) {
    const int per_word = 32 / bits, pairs = per_word / 2, middle = 1 << (bits - 1);
    const int groups = l->in / l->block / l->blocks_per_group, inside = column % TILE;
    const uint32_t *w = l->words + (int64_t)(column - inside) * (l->in / per_word) + inside;
    const vu mask = (vu)splati(((1 << bits) - 1) * 0x10001);
    vi q[MAX_BLOCK / 2][2];
    float out[CHUNK * 2 * LANES] __attribute__((aligned(64)));
    memset(out, 0, sizeof(float) * 2 * LANES * rows);
    for (int b = 0; b < l->in / l->block; b++) {
        for (int k = 0; k < l->block; k += per_word, w += TILE) {
            vu w0, w1;
            memcpy(&w0, w, sizeof w0);
            memcpy(&w1, w + LANES, sizeof w1);
            for (int p = 0; p < pairs; p++) {
                q[k / 2 + p][0] = (vi)(w0 >> (bits * p) & mask);
                q[k / 2 + p][1] = (vi)(w1 >> (bits * p) & mask);
            }
        }
        int64_t at = ((int64_t)(column / TILE) * groups + b / l->blocks_per_group) * TILE + inside;
        int64_t first = (int64_t)b * total;
        int r = 0;
        for (; r + STRIP <= rows; r += STRIP)
            F(strip)(l, q, a + (first + r) * l->block, scale + first + r, sum + first + r, out + r * 2 * LANES, STRIP,
                     middle, at);
        for (; r < rows; r++)
            F(strip)(l, q, a + (first + r) * l->block, scale + first + r, sum + first + r, out + r * 2 * LANES, 1, middle,
                     at);
    }
    for (int r = 0; r < rows; r++)
        for (int j = 0; j < 2; j++)
            F(write)(l, y + (int64_t)r * l->out, column + j * LANES, load(out + (r * 2 + j) * LANES));
}

/* Each number of rows, and of bits, has code of its own. */
#define ROWS(n)                                                                     \
    case n:                                                                         \
        if (l->bits == 4) F(few)(l, a, scale, sum, y, n, total, column, 4);         \
        else F(few)(l, a, scale, sum, y, n, total, column, 8);                      \
        break;

static void F(columns)(const struct linear *l, const int16_t *a, const float *scale, const int32_t *sum, float *y,
                       int rows, int total, int column) {
    switch (rows) {
        ROWS(1)
        ROWS(2)
        ROWS(3)
        ROWS(4)
    default:
        if (l->bits == 4) F(many)(l, a, scale, sum, y, rows, total, column, 4);
        else F(many)(l, a, scale, sum, y, rows, total, column, 8);
    }
}
#undef ROWS

/* Run by each thread of a team, or by one alone. */
static void F(work)(const struct linear *l, const float *x, float *y, int rows, int16_t *a, float *scale, int32_t *sum) {
    int pairs = (l->out + 2 * LANES - 1) / (2 * LANES);
#pragma omp for schedule(static)
    for (int r = 0; r < rows; r++) F(quantize)(l, x + (int64_t)r * l->in, a, scale, sum, r, rows);
    for (int first = 0; first < rows; first += CHUNK) {
        int count = rows - first < CHUNK ? rows - first : CHUNK;
#pragma omp for schedule(static) nowait
        for (int p = 0; p < pairs; p++)
            F(columns)(l, a + (int64_t)first * l->block, scale + first, sum + first, y + (int64_t)first * l->out, count,
                       rows, p * 2 * LANES);
    }
}

static int F(linear)(const struct linear *l, const float *x, float *y, int rows, int threads) {
    int64_t blocks = l->in / l->block;
    int16_t *a = malloc(sizeof(int16_t) * rows * l->in);
    float *scale = malloc(sizeof(float) * rows * blocks);
    int32_t *sum = malloc(sizeof(int32_t) * rows * blocks);
    int ok = a && scale && sum;
    if (ok && threads > 1 && (int64_t)rows * l->in * l->out > LITTLE) {
#pragma omp parallel num_threads(threads)
        F(work)(l, x, y, rows, a, scale, sum);
    } else if (ok) {
        F(work)(l, x, y, rows, a, scale, sum);
    }
    free(a);
    free(scale);
    free(sum);
    return ok ? 0 : -1;
}

/* ---- attention ------------------------------------------------------------------------------------------------- */

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

INLINE void F(scores4)(const float *const *q, const float *k, int dim, float scale, float *s, int rows) {
    for (int key = 0; key < KEYS; key += 4) {
        vf acc[4][4];
        for (int r = 0; r < rows; r++)
            for (int i = 0; i < 4; i++) acc[r][i] = splat(0);
        for (int d = 0; d < dim; d += LANES) {
            vf k0 = load(k + (int64_t)key * dim + d), k1 = load(k + (int64_t)(key + 1) * dim + d);
            vf k2 = load(k + (int64_t)(key + 2) * dim + d), k3 = load(k + (int64_t)(key + 3) * dim + d);
            for (int r = 0; r < rows; r++) {
                vf x = load(q[r] + d);
                acc[r][0] = fma(x, k0, acc[r][0]);
                acc[r][1] = fma(x, k1, acc[r][1]);
                acc[r][2] = fma(x, k2, acc[r][2]);
                acc[r][3] = fma(x, k3, acc[r][3]);
            }
        }
        for (int r = 0; r < rows; r++)
            _mm_storeu_ps(s + r * KEYS + key,
                          _mm_mul_ps(F(sum4)(acc[r][0], acc[r][1], acc[r][2], acc[r][3]), _mm_set1_ps(scale)));
    }
}

INLINE void F(values4)(const float *p, const float *v, int dim, float *out, int64_t stride, int rows, int vectors) {
    vf acc[4][4];
    for (int r = 0; r < rows; r++)
        for (int i = 0; i < vectors; i++) acc[r][i] = splat(0);
    for (int key = 0; key < KEYS; key++) {
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

/* One block of keys for one pass of queries: parts [count], out [count][stride]. */
static void F(block)(const struct attention *a, int head, const struct F(queries) *queries, int block,
                     struct F(part) *parts, float *out, int64_t stride) {
    float s[QUERIES * KEYS] __attribute__((aligned(64)));
    int64_t at = ((int64_t)head * a->capacity + (int64_t)block * KEYS) * a->dim;
    const float *k = a->keys + at, *v = a->values + at;
    int r = 0;
    for (; r + 4 <= queries->count; r += 4) F(scores4)(queries->q + r, k, a->dim, a->scale, s + r * KEYS, 4);
    for (; r < queries->count; r++) F(scores4)(queries->q + r, k, a->dim, a->scale, s + r * KEYS, 1);
    for (r = 0; r < queries->count; r++) {
        int to = queries->position[r] + 1 - block * KEYS, from = a->window ? to - a->window : 0;
        parts[r] = F(weigh)(s + r * KEYS, from < 0 ? 0 : from, to > KEYS ? KEYS : to);
    }
    int d = 0;
    for (; d + 4 * LANES <= a->dim; d += 4 * LANES) {
        for (r = 0; r + 4 <= queries->count; r += 4)
            F(values4)(s + r * KEYS, v + d, a->dim, out + r * stride + d, stride, 4, 4);
        for (; r < queries->count; r++) F(values4)(s + r * KEYS, v + d, a->dim, out + r * stride + d, stride, 1, 4);
    }
    for (; d < a->dim; d += LANES)
        for (r = 0; r < queries->count; r++)
            F(values4)(s + r * KEYS, v + d, a->dim, out + r * stride + d, stride, 1, 1);
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

static int F(attention)(const struct attention *a, int threads) {
    struct F(plan) plan;
    plan.queries = a->rows * (a->heads / a->kv_heads);
    plan.passes = (plan.queries + QUERIES - 1) / QUERIES;
    plan.groups = (plan.passes + GROUP - 1) / GROUP;
    plan.each = (int64_t)QUERIES * a->dim;
    int blocks = (a->start + a->rows + KEYS - 1) / KEYS;
    if ((int64_t)plan.queries * a->kv_heads * blocks * KEYS * a->dim <= LITTLE) threads = 1;
    /* Few queries leave threads idle unless each takes some of the keys; then all parts are kept, and added up after. */
    plan.split = threads > 1 && plan.groups * a->kv_heads < 2 * threads ? blocks : 1;
    int64_t results = plan.split == 1 ? (GROUP + 1) * threads : (int64_t)a->kv_heads * plan.passes * plan.split;
    plan.outs = malloc(sizeof(float) * plan.each * results);
    plan.parts = malloc(sizeof(struct F(part)) * QUERIES * results);
    int ok = plan.outs && plan.parts;
    if (ok && threads == 1) {
        F(whole)(a, &plan);
    } else if (ok) {
#pragma omp parallel num_threads(threads)
        if (plan.split == 1) F(whole)(a, &plan);
        else F(in_parts)(a, &plan);
    }
    free(plan.outs);
    free(plan.parts);
    return ok ? 0 : -1;
}

/* ---- activations ----------------------------------------------------------------------------------------------- */

/* 1 / (1 + e^-u); e^-u is held below the largest float */
INLINE vf F(sigmoid)(vf u) {
    return splat(1.0f) / (splat(1.0f) + F(exp)(-vmax(u, splat(-88.0f))));
}

/* (1 + erf(x / sqrt 2)) / 2, within 1e-7: Abramowitz and Stegun 7.1.26 */
INLINE vf F(normal)(vf x) {
    vf z = vmax(x, -x) * splat(0.70710678f);
    vf t = splat(1.0f) / fma(splat(0.3275911f), z, splat(1.0f));
    vf y = fma(splat(1.061405429f), t, splat(-1.453152027f));
    y = fma(y, t, splat(1.421413741f));
    y = fma(y, t, splat(-0.284496736f));
    y = fma(y, t, splat(0.254829592f));
    vf tail = splat(0.5f) * y * t * F(exp)(-z * z);
    vi above = x > splat(0);
    return (vf)((above & (vi)(splat(1.0f) - tail)) | (~above & (vi)tail));
}

INLINE vf F(activate)(vf x, int kind) {
    if (kind == SILU) return x * F(sigmoid)(x);
    if (kind == GELU_TANH) return x * F(sigmoid)(splat(1.59576912f) * x * fma(splat(0.044715f) * x, x, splat(1.0f)));
    return x * F(normal)(x);
}

static void F(activations)(const float *x, float *out, int64_t n, int kind) {
#pragma omp for schedule(static)
    for (int64_t i = 0; i < n; i += LANES) {
        float all[LANES] = {0};
        int count = n - i < LANES ? n - i : LANES;
        memcpy(all, x + i, sizeof(float) * count);
        store(all, F(activate)(load(all), kind));
        memcpy(out + i, all, sizeof(float) * count);
    }
}

static void F(activation)(const float *x, float *out, int64_t n, int kind, int threads) {
    if (threads > 1 && n > LITTLE / 8) {
#pragma omp parallel num_threads(threads)
        F(activations)(x, out, n, kind);
    } else {
        F(activations)(x, out, n, kind);
    }
}

#undef vf
#undef vi
#undef vu
#undef vs
#undef raw
#undef rawi
#undef load
#undef store
#undef splat
#undef splati
#undef fma
#undef vmax
#undef nearest
#undef tofloat
#undef STRIP
#undef WIDE
