/* SPDX-License-Identifier: MIT */
/*
 * steps.h - the steps of tcpshim demo, each a scene of real calls.
 *
 * They run under the library, so the calls in them are what a server and a client write.
 */
#ifndef CLI_STEPS_H
#define CLI_STEPS_H

#include "demo/stage.h"

#define STEP(function, name, about) void step_##function(struct stage *stage);
#include "demo/steps.def"

#endif
