/* SPDX-License-Identifier: MIT */
/*
 * left_open.h - what is told at the end of a process: what it leaves open (TCPSHIM_REPORT), and how
 * many events were lost, where none follows that tells of it.
 */
#ifndef BOOT_LEFT_OPEN_H
#define BOOT_LEFT_OPEN_H

/* An event of each socket, and one with how many there are in which state. */
void left_open_tell(void);

void left_open_tell_losses(void);

#endif
