/* Vectors of LANES 32-bit lanes, and what is computed with them. */

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

INLINE void F(store_half)(uint16_t *p, vf v) {
#if LANES == 16
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtps_ph((raw)v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
#else
    _mm_storeu_si128((__m128i *)p, _mm256_cvtps_ph((raw)v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
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
