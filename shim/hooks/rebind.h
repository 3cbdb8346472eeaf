/* SPDX-License-Identifier: MIT */
/*
 * rebind.h - binds a module that was loaded with RTLD_DEEPBIND to the hooks.
 */
#ifndef HOOKS_REBIND_H
#define HOOKS_REBIND_H

/* How many objects are loaded now. */
unsigned int rebind_loaded(void);

/*
 * The module and what it needs, as far as it was loaded with it: where these are bound
 * to libc's functions under our names, they are bound to ours. before: how many
 * objects were loaded before it.
 */
void rebind(void *handle, unsigned int before);

#endif
