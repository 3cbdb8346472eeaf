/* SPDX-License-Identifier: MIT */
/*
 * shim.c - see shim.h. All zero until boot has run: every hook passes through.
 */
#include "facts/shim.h"

struct shim shim;
