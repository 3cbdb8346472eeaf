/* SPDX-License-Identifier: MIT */
/*
 * reuse.h - the shim's own calls: enabling SO_REUSEADDR (and SO_REUSEPORT) where
 * the policy says so, each logged with "by": "shim".
 */
#ifndef HOOKS_REUSE_H
#define HOOKS_REUSE_H

#include "observe/policy.h"

/* Set the options that policy->enable names; those that could not be set are dropped from it. */
void reuse_enable(int fd, struct policy *policy);

/* Take back what reuse_enable did. */
void reuse_take_back(int fd, struct policy *policy);

#endif
