/*
 * version.h - the version, once for all.
 */
#ifndef REUSE_VERSION_H
#define REUSE_VERSION_H

#define REUSE_VERSION "0.1.0"

#endif
