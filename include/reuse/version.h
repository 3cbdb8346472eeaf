/* SPDX-License-Identifier: MIT */
/*
 * version.h - the version, once for all.
 */
#ifndef REUSE_VERSION_H
#define REUSE_VERSION_H

#define REUSE_VERSION "0.2.0"

#endif
