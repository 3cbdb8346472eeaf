/* SPDX-License-Identifier: MIT */
/*
 * actors.h - who plays on the stage (stage.h): sockets of this process on 127.0.0.1, and a server
 * that is a process of its own; and what they do, told as they do it.
 */
#ifndef CLI_ACTORS_H
#define CLI_ACTORS_H

#include "demo/stage.h"

/* A pipe beyond the numbers that the step's own sockets get. */
void high_pipe(int fds[2]);

/* The sockets of a connection in this process. */
struct pair {
	struct link link;
	int listener, client, server;
};

/* Calls with 127.0.0.1 and that port. */
int loopback_bind(int fd, uint16_t port);
int loopback_connect(int fd, uint16_t port);
int loopback_reuse(int fd); /* SO_REUSEADDR */
uint16_t loopback_port(int fd);

/* A socket that listens there; one that is connected there. */
int loopback_listener(uint16_t port, bool reuse, int backlog);
int loopback_client(uint16_t port);

/* A connection: its ends are shown, the calls that made it are not. */
struct pair pair_open(struct stage *stage);

/* The same with small buffers to receive into, and not shown. */
struct pair pair_open_narrow(struct stage *stage);

/* Close what is still open of it (-1: nothing), without a word. */
void pair_close(struct stage *stage, struct pair *pair);

/*
 * A server that is a process of its own: it accepts one connection, and then does nothing until
 * it is killed.
 */
struct actor {
	pid_t pid;
	int said; /* a pipe: its port, then a byte when it has accepted */
	uint16_t port;
};

struct actor actor_start(struct stage *stage, bool reuse);
void actor_accepts(struct stage *stage, const struct actor *actor);
void actor_kill(struct stage *stage, const struct actor *actor);

/* What an end does, told. Of send and recv the library logs nothing, so they tell it themselves. */
void act_send(struct stage *stage, const char *who, int fd); /* "hello" */
void act_recv(struct stage *stage, const char *who, int fd);
void act_shutdown(struct stage *stage, const char *who, int fd, int how);
void act_close(struct stage *stage, const char *who, int *fd); /* it is -1 then */
/* Until the peer's buffer and our own are full; and all there is, up to the end of file. */
void act_fill(struct stage *stage, const char *who, int fd);
void act_drain(struct stage *stage, const char *who, int fd);

#endif
