/* Activations, norms and rotary positions. */

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

/* x = the activation of x, times `by` where that is not NULL */
static void F(activate_all)(float *x, const float *by, int64_t n, int kind) {
#pragma omp for schedule(static)
    for (int64_t i = 0; i < n; i += LANES) {
        vf y = F(activate)(load(x + i), kind);
        store(x + i, by ? y * load(by + i) : y);
    }
}

/* to [size] = the norm of from [size], a multiple of LANES */
static void F(normalize)(const struct norm *n, const float *from, float *to, int size) {
    vf total = splat(0), squares = splat(0);
    float mean = 0;
    if (n->bias) {
        for (int i = 0; i < size; i += LANES) total += load(from + i);
        mean = F(sum)(total) / size;
    }
    for (int i = 0; i < size; i += LANES) {
        vf v = load(from + i) - splat(mean);
        squares = fma(v, v, squares);
    }
    vf inverse = splat(1.0f / sqrtf(F(sum)(squares) / size + n->eps));
    for (int i = 0; i < size; i += LANES) {
        vf v = (load(from + i) - splat(mean)) * inverse * load(n->weight + i);
        store(to + i, n->bias ? v + load(n->bias + i) : v);
    }
}

/* to [dim] = from [dim], its pairs i and i + dim / 2 turned; cosines and signed sines [dim], or NULL: as it is */
static void F(turn)(const float *from, float *to, const float *cosines, const float *sines, int dim) {
    if (!cosines) {
        memcpy(to, from, sizeof(float) * dim);
        return;
    }
    int half = dim / 2;
    for (int i = 0; i < half; i++) {
        to[i] = from[i] * cosines[i] + from[i + half] * sines[i];
        to[i + half] = from[i + half] * cosines[i + half] + from[i] * sines[i + half];
    }
}

static void F(to_half)(const float *from, uint16_t *to, int size) {
    for (int i = 0; i < size; i += LANES) F(store_half)(to + i, load(from + i));
}
