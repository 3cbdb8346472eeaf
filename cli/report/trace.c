/* SPDX-License-Identifier: MIT */
/*
 * trace.c - see trace.h. The numbers of fields are those of Perfetto's protos/perfetto/trace:
 * trace.proto, trace_packet.proto, and in track_event/ track_descriptor.proto, track_event.proto
 * and debug_annotation.proto.
 *
 * A track is described before its first event, and named by its addresses: until these are known,
 * what a socket does is kept.
 */
#include "report/trace.h"

#include <stdlib.h>
#include <string.h>

#include "facts/endpoint.h"
#include "facts/names.h"
#include "facts/sum.h"
#include "report/protobuf.h"
#include "report/report_words.h"

enum { TRACE_PACKET = 1 };
enum {
	PACKET_TIMESTAMP = 8,
	PACKET_SEQUENCE_ID = 10,
	PACKET_TRACK_EVENT = 11,
	PACKET_SEQUENCE_FLAGS = 13,
	PACKET_TRACK_DESCRIPTOR = 60,
};
enum { TRACK_UUID = 1, TRACK_NAME = 2, TRACK_PARENT = 5 };
enum {
	EVENT_ANNOTATIONS = 4,
	EVENT_TYPE = 9,
	EVENT_TRACK = 11,
	EVENT_CATEGORIES = 22,
	EVENT_NAME = 23,
	EVENT_FLOWS = 47,
};
enum { TYPE_BEGIN = 1, TYPE_END = 2, TYPE_INSTANT = 3 };
enum { ANNOTATION_INT = 4, ANNOTATION_STRING = 6, ANNOTATION_NAME = 10 };
enum { STATE_CLEARED = 1, SEQUENCE = 1, PROCESSES_MOST = 1 << 16, KEPT_MOST = 2000 };

/* What is kept of a socket until its track has a name. */
struct kept {
	bool described; /* it has one */
	uint64_t parent;
	size_t len;
	uint8_t *bytes; /* KEPT_MOST; NULL when it is described */
};

static uint64_t socket_uuid(const struct life *life)
{
	return sum_word(sum_word(SUM_BEGIN, life->host + 1), life->cookie) | 1;
}

static void write_bytes(struct trace *trace, const void *bytes, size_t len)
{
	fwrite(bytes, 1, len, trace->out);
}

/* As a packet of the trace. */
static void finish_packet(struct message *packet, struct message *ret)
{
	message_number(packet, PACKET_SEQUENCE_ID, SEQUENCE);
	message_within(ret, TRACE_PACKET, packet);
}

static void describe(struct trace *trace, uint64_t uuid, uint64_t parent, const struct out *name)
{
	struct message track = {.len = 0}, packet = {.len = 0}, whole = {.len = 0};

	message_number(&track, TRACK_UUID, uuid);
	if (parent)
		message_number(&track, TRACK_PARENT, parent);
	message_bytes(&track, TRACK_NAME, name->start, out_len(name));
	message_within(&packet, PACKET_TRACK_DESCRIPTOR, &track);
	finish_packet(&packet, &whole);
	write_bytes(trace, whole.bytes, whole.len);
}

/* The process's track, which is described with its first event. */
static uint64_t process_uuid(struct trace *trace, uint32_t host, const struct event *ev)
{
	struct {
		uint64_t host, pid;
		char prog[16];
	} key;
	const size_t before = trace->processes.count;
	char text[256];
	struct out name = out_into(text, sizeof(text));
	uint64_t uuid;

	memset(&key, 0, sizeof(key));
	key.host = host;
	key.pid = (uint32_t)ev->pid;
	memcpy(key.prog, ev->prog, strnlen(ev->prog, sizeof(key.prog)));
	uuid = sum_words(~SUM_BEGIN, (const uint64_t *)(const void *)&key, 4) | 1;
	if (!table_row(&trace->processes, &key) || trace->processes.count == before)
		return uuid;
	out_name(&name, trace->report, ev->prog, host);
	out_str(&name, " [");
	out_i64(&name, ev->pid);
	out_char(&name, ']');
	describe(trace, uuid, 0, &name);
	return uuid;
}

static void out_addresses(struct out *out, const struct life *life)
{
	if (life->local.family)
		out_endpoint(out, &life->local);
	else
		out_str(out, "socket");
	if (life->peer.family) {
		out_str(out, " with ");
		out_endpoint(out, &life->peer);
	}
	out_str(out, " #");
	out_u64(out, life->cookie);
}

static struct kept *kept_of(struct trace *trace, struct life *life)
{
	struct kept *kept = life->own[WATCH_TRACE];

	if (kept)
		return kept;
	kept = calloc(1, sizeof(*kept));
	if (kept && !(kept->bytes = malloc(KEPT_MOST))) {
		free(kept);
		kept = NULL;
	}
	trace->left_out += !kept;
	life->own[WATCH_TRACE] = kept;
	return kept;
}

static void forget_kept(struct life *life)
{
	struct kept *kept = life->own[WATCH_TRACE];

	if (kept)
		free(kept->bytes);
	free(kept);
	life->own[WATCH_TRACE] = NULL;
}

static void give_name(struct trace *trace, const struct life *life, struct kept *kept)
{
	char text[256];
	struct out name = out_into(text, sizeof(text));

	out_addresses(&name, life);
	describe(trace, socket_uuid(life), kept->parent, &name);
	write_bytes(trace, kept->bytes, kept->len);
	free(kept->bytes);
	kept->bytes = NULL;
	kept->described = true;
}

/* Of a socket that is not wanted, and may still be, the first events are kept, as many as fit. */
static void put(struct trace *trace, struct life *life, const struct message *whole)
{
	struct kept *kept = kept_of(trace, life);

	if (!kept)
		return;
	if (!kept->described && whole->len > KEPT_MOST - kept->len) {
		if (!life->wanted)
			return;
		give_name(trace, life, kept);
	}
	if (kept->described) {
		write_bytes(trace, whole->bytes, whole->len);
		return;
	}
	memcpy(kept->bytes + kept->len, whole->bytes, whole->len);
	kept->len += whole->len;
}

static struct message begin_event(uint64_t uuid, int type, const char *category, const char *name,
				  size_t len)
{
	struct message event = {.len = 0};

	message_number(&event, EVENT_TYPE, (uint64_t)type);
	message_number(&event, EVENT_TRACK, uuid);
	if (category)
		message_bytes(&event, EVENT_CATEGORIES, category, strlen(category));
	if (name)
		message_bytes(&event, EVENT_NAME, name, len);
	return event;
}

static struct message packet_of(const struct message *event, uint64_t time_ns)
{
	struct message packet = {.len = 0}, whole = {.len = 0};

	message_number(&packet, PACKET_TIMESTAMP, time_ns);
	message_within(&packet, PACKET_TRACK_EVENT, event);
	finish_packet(&packet, &whole);
	return whole;
}

static void put_event(struct trace *trace, struct life *life, const struct message *event,
		      uint64_t time_ns)
{
	const struct message whole = packet_of(event, time_ns);

	put(trace, life, &whole);
}

static void put_slice(struct trace *trace, struct life *life, const char *category,
		      const struct out *name, uint64_t from_ns, uint64_t to_ns)
{
	const uint64_t uuid = socket_uuid(life);
	struct message event = begin_event(uuid, TYPE_BEGIN, category, name->start, out_len(name));

	put_event(trace, life, &event, from_ns);
	event = begin_event(uuid, TYPE_END, NULL, NULL, 0);
	put_event(trace, life, &event, to_ns);
}

static void put_state(struct trace *trace, struct life *life, uint8_t state, const char *more,
		      const char *category, uint64_t from_ns, uint64_t to_ns)
{
	char text[64];
	struct out name = out_into(text, sizeof(text));

	out_str(&name, state_name((enum tcp_state_id)state));
	out_str(&name, more);
	put_slice(trace, life, category, &name, from_ns, to_ns);
}

static void annotate(struct message *event, const char *name, const char *text, size_t len)
{
	struct message annotation = {.len = 0};

	message_bytes(&annotation, ANNOTATION_NAME, name, strlen(name));
	message_bytes(&annotation, ANNOTATION_STRING, text, len);
	message_within(event, EVENT_ANNOTATIONS, &annotation);
}

static void annotate_number(struct message *event, const char *name, int64_t number)
{
	struct message annotation = {.len = 0};

	message_bytes(&annotation, ANNOTATION_NAME, name, strlen(name));
	message_number(&annotation, ANNOTATION_INT, (uint64_t)number);
	message_within(event, EVENT_ANNOTATIONS, &annotation);
}

static void annotate_notes(struct message *event, uint64_t notes)
{
	char text[256];
	struct out out = out_into(text, sizeof(text));

	for (uint64_t left = notes; left; left &= left - 1) {
		out_str(&out, out_len(&out) ? " " : "");
		out_str(&out, note_code((enum note_id)__builtin_ctzll(left)));
	}
	if (notes)
		annotate(event, "notes", text, out_len(&out));
}

/* A call: "connect ECONNREFUSED", and what is known of it. */
static struct message call_event(uint64_t uuid, const struct event *ev)
{
	char text[128];
	struct out name = out_into(text, sizeof(text));
	struct message event;

	out_str(&name, call_name((enum call_id)ev->call));
	if (ev->error) {
		out_char(&name, ' ');
		out_error(&name, ev->error);
	}
	event = begin_event(uuid, TYPE_INSTANT, "call", name.start, out_len(&name));
	annotate_number(&event, "pid", ev->pid);
	annotate_number(&event, "tid", ev->tid);
	annotate_number(&event, "seq", (int64_t)ev->seq);
	if (ev->has_fd)
		annotate_number(&event, "fd", ev->fd);
	if (ev->has_ret)
		annotate_number(&event, "ret", ev->ret);
	annotate_number(&event, "dur_ns", (int64_t)ev->dur_ns);
	if (ev->has_repeated)
		annotate_number(&event, "times", (int64_t)ev->more.repeated.times);
	annotate_notes(&event, ev->notes);
	return event;
}

static void put_passed(struct trace *trace, struct life *life, const struct event *ev,
		       const struct sock_view *sock)
{
	for (unsigned int i = 0; i < sock->n_via && i < VIA_MAX; i++) {
		char text[64];
		struct out name = out_into(text, sizeof(text));
		struct message event;

		out_char(&name, '(');
		out_str(&name, state_name((enum tcp_state_id)sock->via[i]));
		out_char(&name, ')');
		event = begin_event(socket_uuid(life), TYPE_INSTANT, "passed", name.start,
				    out_len(&name));
		put_event(trace, life, &event, ev->time_ns);
	}
}

static bool has_name(const struct life *life)
{
	return life->wanted && (life->state == STATE_LISTEN || life->peer.family);
}

static void on_step(void *with, struct life *life, const struct input_event *event,
		    const struct sock_view *sock)
{
	struct trace *trace = with;
	struct kept *kept = kept_of(trace, life);
	struct message call;

	if (!kept)
		return;
	if (!kept->parent && life->wanted)
		kept->parent = process_uuid(trace, life->host, &event->ev);
	if (!kept->described && has_name(life))
		give_name(trace, life, kept);
	put_passed(trace, life, &event->ev, sock);
	call = call_event(socket_uuid(life), &event->ev);
	put_event(trace, life, &call, event->ev.time_ns);
}

static void on_leave(void *with, struct life *life, uint8_t state, const struct stay *stay)
{
	struct trace *trace = with;
	const uint64_t proved_ns = life->seen_ns + stay->least_ns;
	const uint64_t left_ns = life->before_ns + stay->most_ns;

	put_state(trace, life, state, "", "state", life->seen_ns, proved_ns);
	if (left_ns > proved_ns)
		put_state(trace, life, state, ", at most", "bound", proved_ns, left_ns);
}

static void put_flow(struct trace *trace, struct life *life)
{
	const uint64_t mine = socket_uuid(life), other = socket_uuid(life->mate);
	char text[64];
	struct out name = out_into(text, sizeof(text));
	struct message event;

	out_str(&name, "with ");
	out_plain(&name, life->mate->prog, strnlen(life->mate->prog, sizeof(life->mate->prog)));
	event = begin_event(mine, TYPE_INSTANT, "connection", name.start, out_len(&name));
	message_fixed(&event, EVENT_FLOWS,
		      sum_word(sum_word(SUM_BEGIN, mine < other ? mine : other),
			       mine < other ? other : mine));
	put_event(trace, life, &event, life->met_ns);
}

static void on_end(void *with, struct life *life)
{
	struct trace *trace = with;
	struct kept *kept = life->own[WATCH_TRACE];

	if (kept && life->wanted) {
		if (life->state != STATE_UNKNOWN)
			put_state(trace, life, life->state, "", "state", life->seen_ns,
				  life->seen_to_ns);
		if (life->end == LIFE_CLOSED && life->timer_ns)
			put_state(trace, life, life->state, ", by its timer", "timer",
				  life->seen_to_ns, life->seen_to_ns + life->timer_ns);
		if (life->mate && life->mate->wanted)
			put_flow(trace, life);
		if (!kept->described)
			give_name(trace, life, kept);
	}
	forget_kept(life);
}

/* A call that is about no socket that is known. */
static void on_event(void *with, const struct input_event *event)
{
	struct trace *trace = with;
	struct message call, whole;

	if (event->ev.sock.cookie)
		return;
	call = call_event(process_uuid(trace, event->host, &event->ev), &event->ev);
	whole = packet_of(&call, event->ev.time_ns);
	write_bytes(trace, whole.bytes, whole.len);
}

/* That nothing is known from before comes first: TRACE_BEGINS. */
static void write_first(struct trace *trace)
{
	struct message packet = {.len = 0}, whole = {.len = 0};

	message_number(&packet, PACKET_SEQUENCE_FLAGS, STATE_CLEARED);
	finish_packet(&packet, &whole);
	write_bytes(trace, whole.bytes, whole.len);
}

void trace_begin(struct trace *trace, const struct report *report, FILE *out)
{
	trace->report = report;
	trace->out = out;
	trace->processes = (struct table){.row_size = 32, .key_size = 32, .most = PROCESSES_MOST};
	trace->watch = (struct tally_watch){.on_event = on_event,
					    .on_step = on_step,
					    .on_leave = on_leave,
					    .on_end = on_end,
					    .with = trace};
	write_first(trace);
}

void trace_end(struct trace *trace)
{
	table_end(&trace->processes);
}
