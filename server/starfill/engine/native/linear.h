/* GPTQ linears: the input rounded to 16 bits, exact integer sums. */

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

/* add: to what stands in y, instead of in its place. */
INLINE void F(write)(const struct linear *l, float *y, int column, vf value, int add) {
    float all[LANES];
    int count = l->out - column < LANES ? l->out - column : LANES;
    if (count <= 0) return;
    store(all, value);
    for (int i = 0; i < count; i++) all[i] += l->bias ? l->bias[column + i] : 0.0f;
    for (int i = 0; i < count; i++) y[column + i] = add ? y[column + i] + all[i] : all[i];
}

/* The rows of an input as 16-bit numbers [blocks][rows][block], with their scales and sums [blocks][rows]. */
struct F(rounded) {
    int16_t *a;
    float *scale;
    int32_t *sum;
};

/* Up to FEW rows: two vectors of columns, weights unpacked into registers. */
INLINE void F(few)(const struct linear *l, const int16_t *a, const float *scale, const int32_t *sum, float *y, int rows,
                   int total, int column, int bits, int add) {
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
        for (int j = 0; j < 2; j++) F(write)(l, y + (int64_t)r * l->out, column + j * LANES, out[r][j], add);
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
                    int total, int column, int bits, int add) {
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
            F(write)(l, y + (int64_t)r * l->out, column + j * LANES, load(out + (r * 2 + j) * LANES), add);
}

/* Each number of rows, and of bits, has code of its own. */
#define ROWS(n)                                                                     \
    case n:                                                                         \
        if (l->bits == 4) F(few)(l, a, scale, sum, y, n, total, column, 4, add);         \
        else F(few)(l, a, scale, sum, y, n, total, column, 8, add);                      \
        break;

static void F(columns)(const struct linear *l, const int16_t *a, const float *scale, const int32_t *sum, float *y,
                       int rows, int total, int column, int add) {
    switch (rows) {
        ROWS(1)
        ROWS(2)
        ROWS(3)
        ROWS(4)
    default:
        if (l->bits == 4) F(many)(l, a, scale, sum, y, rows, total, column, 4, add);
        else F(many)(l, a, scale, sum, y, rows, total, column, 8, add);
    }
}
#undef ROWS

/* y = x W + b by a team of threads, or by one alone: each calls this. After it not all of y need be there yet. */
static void F(product)(const struct linear *l, const float *x, float *y, int rows, const struct F(rounded) *to, int add) {
    int pairs = (l->out + 2 * LANES - 1) / (2 * LANES);
#pragma omp for schedule(static)
    for (int r = 0; r < rows; r++) F(quantize)(l, x + (int64_t)r * l->in, to->a, to->scale, to->sum, r, rows);
    for (int first = 0; first < rows; first += CHUNK) {
        int count = rows - first < CHUNK ? rows - first : CHUNK;
#pragma omp for schedule(static) nowait
        for (int p = 0; p < pairs; p++)
            F(columns)(l, to->a + (int64_t)first * l->block, to->scale + first, to->sum + first,
                       y + (int64_t)first * l->out, count, rows, p * 2 * LANES, add);
    }
}

/* Room for rows of `in` numbers, in blocks of at least MIN_BLOCK; give it back with `drop` in any case. */
static int F(room)(struct F(rounded) *to, int rows, int in) {
    int64_t blocks = (int64_t)rows * (in / MIN_BLOCK + 1);
    to->a = malloc(sizeof(int16_t) * rows * in);
    to->scale = malloc(sizeof(float) * blocks);
    to->sum = malloc(sizeof(int32_t) * blocks);
    return to->a && to->scale && to->sum;
}

static void F(drop)(struct F(rounded) *to) {
    free(to->a);
    free(to->scale);
    free(to->sum);
}

static int F(linear)(const struct linear *l, const float *x, float *y, int rows, int threads) {
    struct F(rounded) to;
    int ok = F(room)(&to, rows, l->in);
    if (ok && threads > 1 && (int64_t)rows * l->in * l->out > LITTLE) {
#pragma omp parallel num_threads(threads)
        F(product)(l, x, y, rows, &to, 0);
    } else if (ok) {
        F(product)(l, x, y, rows, &to, 0);
    }
    F(drop)(&to);
    return ok ? 0 : -1;
}
