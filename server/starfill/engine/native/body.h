/* All kernels for one instruction set, whose names F makes; LANES: 32-bit numbers in a vector. See kernels.c. */

#include "vectors.h"

#include "linear.h"

#include "attention.h"

#include "elementwise.h"

#include "pass.h"

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
