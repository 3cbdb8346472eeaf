# SPDX-License-Identifier: MIT
"""The contract of the JSON lines, checked for every line of every test.

Whatever breaks it raises Breach, with the line.
"""

import json
import re

STATES = ("CLOSED", "LISTEN", "SYN_SENT", "SYN_RCVD", "ESTABLISHED", "FIN_WAIT_1", "FIN_WAIT_2",
          "CLOSE_WAIT", "CLOSING", "LAST_ACK", "TIME_WAIT")

CALLS = ("socket", "bind", "listen", "connect", "accept", "accept4", "setsockopt", "getsockopt",
         "shutdown", "close", "dup", "dup2", "dup3", "fcntl", "fclose", "close_range", "closefrom",
         "exit", "wait")

# The keys of each note beside code and text, in their order; OWNER is pid and prog, or else inode
# and uid. A key with "?" may be missing: a flag that is false, a count of none, what is not known.
NOTES = {
    "reuse-enabled": "options mode",
    "reuse-respected": "mode",
    "reuse-too-late": "",
    "in-use-listener": "local OWNER own_fd? others? inherited? shared_by_fork? dual_stack? "
                       "listen_fds? incomplete?",
    "in-use-bound": "local peer? OWNER bound? live? dying? incomplete? self_connected?",
    "in-use-dying": "port dying state? peer max_ms? without_end? had_option? cause? "
                    "first_port? last_port?",
    "waiting": "dying max_ms",
    "waited": "waited_ms interrupted?",
    "ports-exhausted": "first_port last_port taken time_wait? peer?",
    "not-local": "local",
    "privileged-port": "port first_unprivileged",
    "reset": "cause unread? after_fin?",
    "peer-reset": "retransmits?",
    "queue-reset": "connections",
    "still-open": "OWNER own_fd? tid? fin_sent?",
    "half-closed": "",
    "no-wire-effect": "",
    "double-close": "ago_ms by_call by_tid at?",
    "close-wait": "at_least_ms",
    "sandboxed": "",
    "lost-events": "events",
    "no-descriptors": "limit? tcp_at_least? queued?",
    "backlog-full": "queued backlog dropped?",
    "backlog-cut": "asked somaxconn",
    "not-listening": "",
    "shared-port": "sockets OWNER",
    "address-taken": "local peer state OWNER",
    "self-connect": "port",
    "refused": "by? peer? earlier?",
    "unreachable": "peer? earlier?",
    "timed-out": "peer? earlier? syns over_ms?",
}
# The same of a failure within a second of one that was explained.
BRIEF = {
    "in-use-listener": "local OWNER dual_stack? incomplete",
    "in-use-bound": "incomplete",
    "in-use-dying": "port had_option?",
    "ports-exhausted": "first_port last_port",
}
FLAGS = ("earlier", "incomplete", "had_option", "interrupted", "after_fin", "fin_sent",
         "self_connected", "inherited", "shared_by_fork", "dual_stack", "listen_fds")
ADDRESSES = ("local", "peer")
# The least that each number can be.
LEAST = {"others": 1, "bound": 1, "live": 1, "dying": 1, "max_ms": 1, "without_end": 1, "unread": 1,
         "connections": 1, "own_fd": 0, "tid": 1, "retransmits": 1, "events": 1, "pid": 1, "by_tid": 1, "port": 1, "at_least_ms": 1000,
         "taken": 1, "time_wait": 1, "inode": 0, "uid": 0, "waited_ms": 0, "ago_ms": 0, "first_port": 0,
         "last_port": 0, "first_unprivileged": 1, "limit": 1, "tcp_at_least": 1, "queued": 0,
         "backlog": 0, "dropped": 1, "asked": 1, "somaxconn": 0, "sockets": 1, "syns": 1,
         "over_ms": 1}
WORDS = {"by": ("rst", "icmp"), "mode": ("auto", "force", "gentle", "off"),
         "cause": ("unread", "linger", "linger2", "outgoing", "either", "no-shim")}
# What the sentence tells as it is, and what it tells in seconds.
IN_TEXT = ("local", "peer", "pid", "inode", "uid", "port", "unread", "connections", "events", "taken", "by_tid",
           "own_fd", "tid", "others", "time_wait",
           "by_call", "first_port", "last_port", "first_unprivileged", "mode", "limit",
           "tcp_at_least", "queued", "backlog", "dropped", "asked", "somaxconn", "sockets",
           "syns")
IN_SECONDS = ("max_ms", "waited_ms", "at_least_ms", "over_ms")
OPTIONS = (["SO_REUSEADDR"], ["SO_REUSEPORT"], ["SO_REUSEADDR", "SO_REUSEPORT"])

KEYS = ("v", "time", "pid", "tid", "prog", "seq", "call", "by", "fd", "ret", "error", "repeated",
        "args",
        "sock", "netns", "local", "peer", "was", "via", "state", "timer_ms", "closed", "age_ms",
        "totals",
        "unlisted", "dur_ns", "notes", "stack")
ALWAYS = ("v", "time", "pid", "tid", "prog", "seq", "call", "ret", "dur_ns")
EXIT_KEYS = ("age_ms", "totals", "unlisted")
# What is said of a socket.
VIEW_KEYS = ("sock", "netns", "local", "peer", "was", "via", "state", "timer_ms")
# A call that may wait: when it returns, its number may be another socket's, or nobody's.
WAITING = ("bind", "connect", "accept", "accept4", "dup2", "dup3")
CLOSED_KEYS = ("fd", "sock", "local", "peer", "was", "state", "timer_ms")
ARGS = {
    "socket": ("domain", "type", "protocol"),
    "setsockopt": ("level", "option", "value"),
    "getsockopt": ("level", "option", "value"),
    "listen": ("backlog",),
    "shutdown": ("how",),
    "dup2": ("newfd",),
    "dup3": ("newfd",),
    "fcntl": ("command", "newfd"),
}
LINE_MAX = 4096

TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")
ERROR = re.compile(r"^E[A-Z0-9]+$")
CONSTANT = re.compile(r"^[A-Z][A-Z0-9_]*$")
V4 = r"\d{1,3}(?:\.\d{1,3}){3}"
ADDRESS = re.compile(r"^(?:%s|\[[0-9a-f:.]+(?:%%[^\]]+)?\]):\d{1,5}$" % V4)
HEX = re.compile(r"^(?:[0-9a-f]{2}){0,64}$")


class Breach(AssertionError):
    """A line that the contract does not allow."""


def parse(line):
    """One line of the log, as bytes with its newline, to an event that keeps the contract."""
    try:
        return _checked(line)
    except Breach as breach:
        raise Breach("%s\n  in the line %r" % (breach, line)) from None


def _checked(line):
    _hold(len(line) <= LINE_MAX, "a line of %d bytes" % len(line))
    _hold(line.endswith(b"\n") and line.count(b"\n") == 1, "not one whole line")
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Breach("not UTF-8: %s" % error) from None
    try:
        event = json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant)
    except ValueError as error:
        raise Breach("not JSON: %s" % error) from None
    _hold(isinstance(event, dict), "not an object")
    _event(event)
    return event


def _object(pairs):
    keys = [key for key, _ in pairs]
    _hold(len(keys) == len(set(keys)), "a key twice: %s" % keys)
    return dict(pairs)


def _no_constant(name):
    raise Breach("%s is not JSON" % name)


def _hold(condition, what):
    if not condition:
        raise Breach(what)


def _number(value, what, least=None):
    _hold(isinstance(value, int) and not isinstance(value, bool),
          "%s is no number: %r" % (what, value))
    _hold(least is None or value >= least, "%s is %r" % (what, value))


def _ordered(keys, allowed, what):
    for key in keys:
        _hold(key in allowed, "the key %r is not one of %s" % (key, what))
    _hold(list(keys) == [key for key in allowed if key in keys],
          "the keys of %s are out of order: %s" % (what, list(keys)))


def _event(event):
    _ordered(event, KEYS, "an event")
    sandboxed = has_note(event, "sandboxed")
    for key in ALWAYS:
        # What locks the program in is told before it is made: its result is not known.
        # An exit takes no time of its own, and the beginning of a wait none.
        _hold(key in event or sandboxed and key == "ret"
              or event.get("call") == "exit" and key == "dur_ns"
              or event.get("call") == "wait" and key in ("ret", "dur_ns"), "%s is missing" % key)
    _hold(event["v"] == 1, "v is %r" % event["v"])
    _hold(isinstance(event["time"], str) and TIME.match(event["time"]), "time is no RFC 3339")
    for key in ("pid", "tid", "seq"):
        _number(event[key], key, 1)
    _number(event.get("dur_ns", 0), "dur_ns", 0)
    prog = event["prog"]
    _hold(isinstance(prog, str) and prog, "prog is no name")
    _hold(not prog.isascii() or len(prog) <= 15, "prog is over 15 bytes")
    _notes(event)
    if sandboxed:
        _hold(event["call"] in ("prctl", "seccomp"), "call is %r" % event["call"])
        return
    _call(event)
    _result(event)
    _arguments(event)
    _socket(event)
    _exit(event)


def has_note(event, code):
    """Does the event bear a note of this code?"""
    return any(note.get("code") == code for note in event.get("notes", ())
               if isinstance(note, dict))


def _call(event):
    call = event["call"]
    _hold(call in CALLS, "call is %r" % (call,))
    if "by" in event:
        _hold(event["by"] == "shim" and call in ("setsockopt", "wait"), "by is %r" % event["by"])
    _hold(call != "wait" or "by" in event, "a wait of the program's")
    _hold(("fd" in event) == (call != "socket" and not _is_of_the_process(event)),
          "fd with %s" % call)
    if "fd" in event:
        _number(event["fd"], "fd", 0)


def _is_of_the_process(event):
    """An exit that is not of one socket: the sum, or that events were lost."""
    return event["call"] == "exit" and ("totals" in event or "fd" not in event)


def _result(event):
    if event["call"] == "wait":
        _hold("ret" not in event and "error" not in event, "a wait with a result")
        return
    _number(event["ret"], "ret", -1)
    _hold(("error" in event) == (event["ret"] == -1), "ret %d and error do not agree"
          % event["ret"])
    if "error" in event:
        error = event["error"]
        _hold(isinstance(error, str) and ERROR.match(error), "error is %r" % (error,))
        _hold(error not in ("EWOULDBLOCK", "ENOTSUP"), "error is a twin: %s" % error)
    if "repeated" in event:
        _repeated(event)


def _repeated(event):
    """More calls that failed alike: of a failure alone, and without notes of its own."""
    repeated = event["repeated"]
    _hold("error" in event, "repeated, but no failure")
    _hold(isinstance(repeated, dict) and list(repeated) == ["times", "over_ms"],
          "repeated is %r" % (repeated,))
    _number(repeated["times"], "times", 1)
    _number(repeated["over_ms"], "over_ms", 0)
    notes = {note["code"] for note in event.get("notes", ())}
    _hold(notes <= {"lost-events"}, "notes of what is repeated: %s" % notes)


def calls(event):
    """For how many calls of the program the event stands."""
    return event["repeated"]["times"] if "repeated" in event else 1


def _arguments(event):
    call = event["call"]
    if call not in ARGS:
        _hold("args" not in event, "args with %s" % call)
        return
    args = event.get("args")
    _hold(isinstance(args, dict), "args of %s: %r" % (call, args))
    _ordered(args, ARGS[call], "the args of %s" % call)
    for key in ARGS[call]:
        _hold(key in args or key == "value", "args of %s without %s" % (call, key))
    for key, value in args.items():
        if key in ("backlog", "newfd"):
            _number(value, key)
        elif key == "value":
            _option_value(call, args["option"], value)
        elif isinstance(value, str):
            parts = value.split("|")
            _hold(len(parts) == 1 or key == "type", "%s is %r" % (key, value))
            for part in parts:
                _hold(CONSTANT.match(part), "%s is %r" % (key, value))
        else:
            _number(value, key)


def _option_value(call, option, value):
    if isinstance(value, str):
        named = call == "getsockopt" and option == "SO_ERROR" and ERROR.match(value)
        _hold(named or HEX.match(value), "value is %r" % value)
    else:
        _number(value, "value")


def _socket(event):
    _view(event, "an event")
    if "closed" not in event:
        made_none = event["call"] == "socket" and event["ret"] == -1 \
            or has_note(event, "double-close") or _is_of_the_process(event) \
            or "repeated" in event and (event["call"], event["error"]) == ("close", "EBADF")
        lost = "sock" not in event and event["call"] in WAITING
        _hold(lost or ("sock" in event) != made_none,
              "sock with %s = %d" % (event["call"], event.get("ret", 0)))
        for key in VIEW_KEYS:
            _hold(not lost or key not in event, "%s of no socket" % key)
        _hold(not made_none or "state" not in event, "a state of no socket")
        return
    _hold(event["call"] in ("dup2", "dup3") and event["ret"] != -1, "closed with %s"
          % event["call"])
    closed = event["closed"]
    _hold(isinstance(closed, dict), "closed is no object")
    _ordered(closed, CLOSED_KEYS, "closed")
    for key in ("fd", "sock"):
        _hold(key in closed, "closed without %s" % key)
    _number(closed["fd"], "closed.fd", 0)
    _view(closed, "closed")
    if "sock" not in event:
        for key in VIEW_KEYS:
            _hold(key not in event, "%s of no socket" % key)


def _exit(event):
    """What a process leaves open: an event each, then one with the sum."""
    if event["call"] != "exit":
        for key in EXIT_KEYS:
            _hold(key not in event, "%s with %s" % (key, event["call"]))
        return
    _hold(event["ret"] == 0, "exit returned %d" % event["ret"])
    for key in ("dur_ns", "was", "via", "closed", "stack" if "totals" in event else "totals"):
        _hold(key not in event, "%s at exit" % key)
    if "fd" not in event and "totals" not in event:
        _hold(list(event) == [key for key in ALWAYS if key != "dur_ns"] + ["notes"]
              and [note["code"] for note in event["notes"]] == ["lost-events"],
              "an exit of nothing")
    if "age_ms" in event:
        _number(event["age_ms"], "age_ms", 0)
    if "totals" not in event:
        _hold("unlisted" not in event, "unlisted of one socket")
        return
    totals = event["totals"]
    _hold(isinstance(totals, dict), "totals is %r" % (totals,))
    for state, count in totals.items():
        _hold(state in STATES, "totals of %s" % state)
        _number(count, "totals of %s" % state, 1)
    for key in ("sock", "local", "peer", "state", "timer_ms", "age_ms"):
        _hold(key not in event, "%s with totals" % key)
    if "unlisted" in event:
        _number(event["unlisted"], "unlisted", 1)


def _view(view, what):
    if "sock" in view:
        _number(view["sock"], "sock", 1)
    if "netns" in view:
        _number(view["netns"], "netns", 1)
        _hold("sock" in view and "was" not in view, "netns of %s that was known" % what)
    for key in ("local", "peer"):
        if key in view:
            _hold(isinstance(view[key], str) and ADDRESS.match(view[key]),
                  "%s of %s is %r" % (key, what, view[key]))
            _hold(int(view[key].rpartition(":")[2]) < 65536, "%s is %r" % (key, view[key]))
    for key in ("was", "state"):
        if key in view:
            _hold(view[key] in STATES, "%s of %s is %r" % (key, what, view[key]))
    if "via" in view:
        via = view["via"]
        _hold(isinstance(via, list) and via, "via is %r" % (via,))
        for state in via:
            _hold(state in STATES, "via is %r" % (via,))
    if "timer_ms" in view:
        _number(view["timer_ms"], "timer_ms", 0)
        _hold(view.get("state") in ("TIME_WAIT", "FIN_WAIT_2"), "timer_ms in %s"
              % view.get("state"))


def _notes(event):
    for note in event.get("notes", ()):
        _hold(isinstance(note, dict) and list(note)[:2] == ["code", "text"],
              "a note is %r" % (note,))
        _hold(note["code"] in NOTES, "a note's code is %r" % note["code"])
        text = note["text"]
        _hold(isinstance(text, str) and text and "\n" not in text, "a note's text is %r" % (text,))
        _note_keys(note, event)
    if "notes" in event:
        _hold(isinstance(event["notes"], list) and event["notes"], "notes is empty")
    for frame in event.get("stack", ()):
        _frame(frame)
    if "stack" in event:
        _hold(0 < len(event["stack"]) <= 32, "a stack of %d frames" % len(event["stack"]))


def _frame(frame):
    _ordered(frame, ("module", "offset", "symbol", "symoff"), "a frame")
    _hold(frame.get("module") and "/" not in frame["module"], "a frame without a base name")
    _hold(re.fullmatch("0x[0-9a-f]+", frame.get("offset", "")), "a frame's offset")
    _hold(("symbol" in frame) == ("symoff" in frame), "a symbol without its offset")


def is_brief(note):
    """Was the port not looked at for long, since one was a moment ago?"""
    return note["text"].endswith((" tells more", " less than a second ago"))


def _note_keys(note, event):
    """The figures of the sentence, and nothing else."""
    code = note["code"]
    owner = "pid prog" if "pid" in note else "inode uid"
    brief = is_brief(note)
    keys = (BRIEF if brief else NOTES)[code].replace("OWNER", owner).split()
    _ordered(list(note)[2:], [key.rstrip("?") for key in keys], "the note %s" % code)
    for key in keys:
        _hold(key.endswith("?") or key in note, "%s without %s" % (code, key))
    for key in list(note)[2:]:
        _note_value(code, key, note[key])
        if key in IN_TEXT:
            _hold(str(note[key]) in note["text"], "%s is not in the text: %r" % (key, note))
        if key in IN_SECONDS:
            seconds = "%d.%d s" % (note[key] // 1000, note[key] // 100 % 10)
            _hold(seconds in note["text"], "%s is not in the text: %r" % (key, note))
    if code == "reset":
        _hold(("unread" in note) == (note["cause"] == "unread"), "a reset by %s" % note["cause"])
    if code == "still-open":
        _hold("pid" in note or not {"own_fd", "tid"} & set(note), "a keeper without its process")
        _hold(note.get("pid") == event["pid"] or not {"own_fd", "tid"} & set(note),
              "a number of another process")
    if code == "in-use-listener" and "own_fd" in note:
        _hold(note["pid"] == event["pid"], "a descriptor of our own in another process")
    if "listen_fds" in note:
        _hold(note["own_fd"] >= 3, "LISTEN_FDS begins with 3")
    if code == "in-use-bound" and not brief:
        _hold("bound" in note or "live" in note, "in-use-bound by nobody")
    if code == "in-use-dying" and note.get("dying") == 1:
        _hold("state" in note, "one connection without its state")
    if code == "in-use-dying":
        told = note.get("cause") in ("outgoing", "either")
        _hold(("first_port" in note, "last_port" in note) == (told, told), "a range with %r" % note)
    if code == "backlog-cut":
        _hold(note["somaxconn"] < note["asked"] == event["args"]["backlog"], "no cut: %r" % note)
    if code == "backlog-full":
        _hold("dropped" in note or note["queued"] > note["backlog"], "not full: %r" % note)
    if code == "not-local":
        _hold(note["local"] == event["local"], "not-local with another address")
    if code in ("refused", "unreachable", "timed-out"):
        peer = None if "earlier" in note else event.get("peer")
        _hold(note.get("peer") == peer, "%s by another peer" % code)
    if code == "self-connect":
        _hold(event["local"].rpartition(":")[2] == str(note["port"]), "another port than its own")


def _note_value(code, key, value):
    what = "%s of %s is %r" % (key, code, value)
    if key in FLAGS:
        _hold(value is True, what)
    elif key in ADDRESSES:
        _hold(isinstance(value, str) and ADDRESS.match(value), what)
    elif key in WORDS:
        _hold(value in WORDS[key], what)
    elif key in LEAST:
        _number(value, "%s of %s" % (key, code), LEAST[key])
    elif key == "options":
        _hold(value in OPTIONS, what)
    elif key == "state":
        _hold(value in STATES, what)
    elif key == "by_call":
        _hold(value in CALLS, what)
    elif key == "at":
        _frame(value)
    else:
        _hold(key == "prog" and isinstance(value, str) and value, what)


def lost(event):
    """How many events this one says were lost."""
    return sum(note["events"] for note in event.get("notes", ())
               if note["code"] == "lost-events")


def check_seq(events, by_time=False, ordered=True, cut=0):
    """Each process image counts its events from 1 without a gap or a repeat.

    An exec keeps the pid and starts again at 1: then each number occurs as often as there
    were images that came so far. A gap is allowed only where lost-events told of as many.
    Without threads and execs the numbers stand in the order of the lines, where no handler of a
    signal came between a call and its event (ordered).
    A process of several threads that ends while so many of them may be in a call (cut) takes the
    events with it which they have numbered and not written yet.
    """
    by_pid = {}
    for event in events:
        by_pid.setdefault(event["pid"], []).append(event)
    for pid, mine in by_pid.items():
        told = sum(lost(event) for event in mine)
        if told:
            _lost_agree(pid, mine, told)
            continue
        count = {}
        for event in mine:
            count[event["seq"]] = count.get(event["seq"], 0) + 1
        images = count.get(1, 0)
        before = images
        unwritten = cut if len({event["tid"] for event in mine}) > 1 else 0
        for seq in range(1, max(count) + 1):
            here = count.get(seq, 0)
            if not here and unwritten:
                unwritten -= 1
                continue
            _hold(0 < here <= before, "pid %d: seq %d occurs %d times after %d (of %d images)"
                  % (pid, seq, here, before, images))
            before = here
        if ordered and images == 1:
            _in_order(pid, [event for event in mine if not by_time or "repeated" not in event])


def _in_order(pid, mine):
    if any(event["tid"] != pid for event in mine):
        return
    seqs = [event["seq"] for event in mine]
    _hold(seqs == sorted(seqs), "pid %d: seq goes %s" % (pid, seqs))


def _lost_agree(pid, mine, told):
    seqs = sorted(event["seq"] for event in mine)
    _hold(len(seqs) == len(set(seqs)), "pid %d: seq repeats" % pid)
    gap = seqs[-1] - len(seqs)
    _hold(gap == told, "pid %d: %d numbers are missing and lost-events tells of %d"
          % (pid, gap, told))
