/* What Starfill computes natively on x86-64: whole passes of a decoder, and their parts alone: GPTQ linears, attention
   over the KV cache, activations.

   Each function gives a row the same bits however many rows or threads compute it: integer sums are exact, and
   float sums have one order, that of the positions. `body.h` is compiled once for each instruction set; `kernels.py` and
   `structs.py` declare what follows for Python, `library.py` asks `starfill_isa` first. All arrays are contiguous.

   Compiled with OpenMP, against the runtime that torch brings: one pool of threads serves both. */

#include <stdint.h>

/* Of what Python must know: the functions, the structs and how weights are packed. The same in library.py and structs.py. */
#define INTERFACE 4

int starfill_interface(void) { return INTERFACE; }

/* A linear layer y = x W + b, W in GPTQ codes. Input rows come in blocks, output columns in tiles of 32.

   words   4 bits: [tiles][in / 8][32]; pair p of eight codes (2p, 2p + 1) at bits 4p and 16 + 4p of its word
           8 bits: [tiles][in / 4][32]; pair p of four codes at bits 8p and 16 + 8p
   scales  fp16 [tiles][groups][32]
   zeros   int16 [tiles][groups][32], zero - middle (8 or 128), or NULL: all of them 0
   bias    float32 [out] or NULL
   order   int32 [in], the feature that stands at each place, or NULL
   gain    multiplies all scales */
struct linear {
    const uint32_t *words;
    const uint16_t *scales;
    const int16_t *zeros;
    const float *bias;
    const int32_t *order;
    float gain;
    int32_t bits, in, out, block, blocks_per_group;
};

/* Attention of rows * heads queries over one sequence's cache.

   q, out  float32 [rows][heads][dim]
   keys, values  [kv_heads][capacity][dim], fp16 where `half` is set, else float32; query head h looks at head
           h / (heads / kv_heads)
   start   position of the first row; a row looks at itself and what stands before, `window` positions at most (0: all) */
struct attention {
    const float *q;
    const void *keys, *values;
    float *out;
    int64_t capacity;
    float scale;
    int32_t rows, heads, kv_heads, dim, start, window, half;
};

enum activation { SILU, GELU_TANH, GELU };

/* A norm of rows: less their mean, divided by their deviation, times weight, plus bias; bias NULL: without mean (RMS). */
struct norm {
    const float *weight, *bias;
    float eps;
};

/* k, v NULL: q's outputs are queries, keys and values. gate NULL: the MLP is down(activation(up(x))), else
   down(activation(gate(x)) * up(x)). */
struct layer {
    struct norm before_attention, before_mlp;
    const struct linear *q, *k, *v, *o, *gate, *up, *down;
};

/* hidden, inner, dim: multiples of 16. window as in `attention`. */
struct model {
    const struct layer *layers;
    struct norm before_head;
    const struct linear *head;
    float scale;
    int32_t n_layer, hidden, inner, heads, kv_heads, dim, window, activation;
};

/* Some rows of a pass: at the positions start.. of one sequence. kv [n_layer]: each fp16 [2][kv_heads][capacity][dim], keys
   and values; those of the rows are written. */
struct sequence {
    uint16_t *const *kv;
    int64_t capacity;
    int32_t start, rows;
};

/* x       float32 [rows][hidden], the embedded rows of all sequences, one sequence after the other; overwritten
   cosines, sines  float32 [rows][dim], by which queries and keys are turned (signed sines), or NULL
   logits  float32 [last][vocab], of the last rows */
struct pass {
    float *x;
    const float *cosines, *sines;
    const struct sequence *sequence;
    float *logits;
    int32_t sequences, rows, last;
};

/* The sizes of the structs above, in this order, into `sizes` unless that is NULL; how many they are. */
int starfill_sizes(int32_t *sizes) {
    const int32_t found[] = {sizeof(struct linear), sizeof(struct attention), sizeof(struct norm), sizeof(struct layer),
                             sizeof(struct model), sizeof(struct sequence), sizeof(struct pass)};
    int count = sizeof found / sizeof *found;
    for (int i = 0; sizes && i < count; i++) sizes[i] = found[i];
    return count;
}

#if defined(__x86_64__) && defined(__GNUC__)

#include <immintrin.h>
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#define TILE 32      /* output columns that are packed together */
#define KEYS 128     /* positions whose attention is computed at once */
#define QUERIES 16   /* query rows that share a pass over them */
#define GROUP 8      /* passes that a thread makes over the same keys, one after the other, before it goes on */
#define SOME 32      /* of them that are converted together, and stay in the first cache */
#define CHUNK 128    /* rows of x that share a pass over a tile */
#define MIN_BLOCK 32
#define MAX_BLOCK 128
#define MAX_DIM 1024
#define LITTLE (1 << 17) /* multiplications that are over sooner than threads have met. One thread then works outside of
                            any parallel region: a smaller team would make libgomp end the other threads. */
#define FEW 4        /* rows up to which weights are unpacked straight into registers */
#define INLINE static inline __attribute__((always_inline))

#define LANES 16
#define F(name) name##_avx512
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,fma,f16c")
#include "body.h"
#pragma GCC pop_options
#undef LANES
#undef F

#define LANES 8
#define F(name) name##_avx2
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c")
#include "body.h"
#pragma GCC pop_options

/* 512, 256, or 0 where neither can run. */
int starfill_isa(void) {
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vnni"))
        return 512;
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c") ? 256 : 0;
}

/* x float32 [rows][in] -> y float32 [rows][out]. 0, or -1 without memory. */
int starfill_linear(const struct linear *l, const float *x, float *y, int rows, int threads, int isa) {
    return isa == 512 ? linear_avx512(l, x, y, rows, threads) : linear_avx2(l, x, y, rows, threads);
}

/* 0, or -1 without memory; then nothing that counts has changed. */
int starfill_pass(const struct model *m, const struct pass *p, int threads, int isa) {
    return isa == 512 ? pass_avx512(m, p, threads) : pass_avx2(m, p, threads);
}

int starfill_attention(const struct attention *a, int threads, int isa) {
    return isa == 512 ? attention_avx512(a, threads) : attention_avx2(a, threads);
}

/* out[i] = the activation of x[i]; kind: an `enum activation` */
void starfill_activation(const float *x, float *out, int64_t n, int kind, int threads, int isa) {
    if (isa == 512)
        activation_avx512(x, out, n, kind, threads);
    else
        activation_avx2(x, out, n, kind, threads);
}

#else

int starfill_isa(void) { return 0; }

#endif
