/* A whole pass of a decoder: its layers, the last norm and the head, by one team of threads that meets between steps. */

struct F(work) {
    float *h, *qkv, *q, *mlp;
    struct F(rounded) rounded;
    struct F(plan) *plans; /* of each sequence */
};

static void F(norms)(const struct norm *n, const float *x, float *to, int rows, int size) {
#pragma omp for schedule(static)
    for (int r = 0; r < rows; r++) F(normalize)(n, x + (int64_t)r * size, to + (int64_t)r * size, size);
}

/* Returns when all threads are done, so that y and the rounded input may be used again. */
static void F(linear_step)(const struct linear *l, const float *x, float *y, int rows, const struct F(work) *w, int add) {
    F(product)(l, x, y, rows, &w->rounded, add);
#pragma omp barrier
}

/* Queries from w->qkv to w->q, keys and values into the caches; queries and keys turned. */
static void F(place_rows)(const struct model *m, const struct layer *l, const struct pass *p, int layer,
                          const struct F(work) *w) {
    int64_t queries = (int64_t)m->heads * m->dim, kept = (int64_t)m->kv_heads * m->dim;
    int together = l->k == NULL;
    int64_t stride = together ? queries + 2 * kept : 0;
    for (int s = 0, first = 0; s < p->sequences; first += p->sequence[s++].rows) {
        const struct sequence *to = p->sequence + s;
        uint16_t *keys = to->kv[layer], *values = keys + m->kv_heads * to->capacity * m->dim;
#pragma omp for schedule(static) nowait
        for (int r = first; r < first + to->rows; r++) {
            const float *cosines = p->cosines ? p->cosines + (int64_t)r * m->dim : NULL;
            const float *sines = p->sines ? p->sines + (int64_t)r * m->dim : NULL;
            const float *q = w->qkv + r * (together ? stride : queries);
            const float *k = together ? q + queries : w->qkv + p->rows * queries + r * kept;
            const float *v = together ? k + kept : w->qkv + p->rows * (queries + kept) + r * kept;
            for (int h = 0; h < m->heads; h++)
                F(turn)(q + h * m->dim, w->q + r * queries + h * m->dim, cosines, sines, m->dim);
            for (int h = 0; h < m->kv_heads; h++) {
                int64_t at = (h * to->capacity + to->start + r - first) * m->dim;
                float turned[MAX_DIM];
                F(turn)(k + h * m->dim, turned, cosines, sines, m->dim);
                F(to_half)(turned, keys + at, m->dim);
                F(to_half)(v + h * m->dim, values + at, m->dim);
            }
        }
    }
#pragma omp barrier
}

/* Of the sequence s, whose rows begin at `first`; layer -1: only how much there is. */
static struct attention F(attention_of)(const struct model *m, const struct pass *p, int s, int first, int layer,
                                        const struct F(work) *w) {
    const struct sequence *of = p->sequence + s;
    int64_t at = (int64_t)first * m->heads * m->dim;
    const uint16_t *keys = layer < 0 ? NULL : of->kv[layer];
    return (struct attention){
        .q = w->q + at,
        .out = w->h + at,
        .keys = keys,
        .values = keys ? keys + m->kv_heads * of->capacity * m->dim : NULL,
        .capacity = of->capacity,
        .scale = m->scale,
        .rows = of->rows,
        .heads = m->heads,
        .kv_heads = m->kv_heads,
        .dim = m->dim,
        .start = of->start,
        .window = m->window,
        .half = 1,
    };
}

static void F(layer)(const struct model *m, const struct pass *p, int layer, const struct F(work) *w) {
    const struct layer *l = m->layers + layer;
    int64_t queries = (int64_t)m->heads * m->dim, kept = (int64_t)m->kv_heads * m->dim;
    int rows = p->rows;
    F(norms)(&l->before_attention, p->x, w->h, rows, m->hidden);
    F(linear_step)(l->q, w->h, w->qkv, rows, w, 0);
    if (l->k) {
        F(linear_step)(l->k, w->h, w->qkv + rows * queries, rows, w, 0);
        F(linear_step)(l->v, w->h, w->qkv + rows * (queries + kept), rows, w, 0);
    }
    F(place_rows)(m, l, p, layer, w);
    for (int s = 0, first = 0; s < p->sequences; first += p->sequence[s++].rows) {
        struct attention a = F(attention_of)(m, p, s, first, layer, w);
        F(attend)(&a, w->plans + s);
    }
    F(linear_step)(l->o, w->h, p->x, rows, w, 1);
    F(norms)(&l->before_mlp, p->x, w->h, rows, m->hidden);
    float *up = l->gate ? w->mlp + (int64_t)rows * m->inner : NULL;
    F(linear_step)(l->gate ? l->gate : l->up, w->h, w->mlp, rows, w, 0);
    if (l->gate) F(linear_step)(l->up, w->h, up, rows, w, 0);
    F(activate_all)(w->mlp, up, (int64_t)rows * m->inner, m->activation);
    F(linear_step)(l->down, w->mlp, p->x, rows, w, 1);
}

static void F(layers)(const struct model *m, const struct pass *p, const struct F(work) *w) {
    for (int i = 0; i < m->n_layer; i++) F(layer)(m, p, i, w);
    if (!p->last) return;
    F(norms)(&m->before_head, p->x + (int64_t)(p->rows - p->last) * m->hidden, w->h, p->last, m->hidden);
    F(linear_step)(m->head, w->h, p->logits, p->last, w, 0);
}

static int F(pass)(const struct model *m, const struct pass *p, int threads) {
    int64_t queries = (int64_t)m->heads * m->dim, kept = (int64_t)m->kv_heads * m->dim, rows = p->rows;
    int64_t wide = queries > m->hidden ? queries : m->hidden;
    struct F(work) w;
    w.h = malloc(sizeof(float) * rows * wide);
    w.qkv = malloc(sizeof(float) * rows * (queries + 2 * kept));
    w.q = malloc(sizeof(float) * rows * queries);
    w.mlp = malloc(sizeof(float) * rows * m->inner * 2);
    w.plans = calloc(p->sequences, sizeof(struct F(plan)));
    int ok = F(room)(&w.rounded, rows, wide > m->inner ? wide : m->inner) && w.h && w.qkv && w.q && w.mlp && w.plans;
    for (int s = 0; ok && s < p->sequences; s++) {
        struct attention a = F(attention_of)(m, p, s, 0, -1, &w);
        ok = F(make_plan)(&a, threads, w.plans + s);
    }
    if (ok && threads > 1) {
#pragma omp parallel num_threads(threads)
        F(layers)(m, p, &w);
    } else if (ok) {
        F(layers)(m, p, &w);
    }
    for (int s = 0; w.plans && s < p->sequences; s++) F(unplan)(w.plans + s);
    free(w.plans);
    free(w.mlp);
    free(w.q);
    free(w.qkv);
    free(w.h);
    F(drop)(&w.rounded);
    return ok ? 0 : -1;
}
