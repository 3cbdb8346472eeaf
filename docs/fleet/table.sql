-- The tables, on each shard: of the events that are here, that into which events are put, and the
-- one over all shards in which they are looked for.
--
-- An event may come twice: RELP sends again what it has no answer for. It is one by host, pid, seq
-- and time, so its two rows are on one shard, and of them one is left when ClickHouse merges them,
-- or when it is asked with FINAL.

CREATE DATABASE tcpshim;

-- The collector's host and release, and the event's keys, as in tcpshim-events(5). What has keys of
-- its own is JSON.
CREATE TABLE tcpshim.events_here (
    host String,
    release String,
    time String,
    pid UInt32,
    tid UInt32,
    prog String,
    seq UInt64,
    call String,
    `by` String,
    fd Nullable(Int32),
    ret Nullable(Int64),
    error String,
    repeated UInt64,
    args String,
    sock UInt64,
    netns UInt64,
    local String,
    peer String,
    was String,
    via_json String,
    state String,
    timer_ms Nullable(UInt64),
    age_ms Nullable(UInt64),
    closed String,
    totals String,
    unlisted UInt64,
    dur_ns UInt64,
    notes String,
    stack String
)
ENGINE = ReplacingMergeTree
PARTITION BY toDate(substring(time, 1, 10))
ORDER BY (host, prog, time, pid, seq);

CREATE TABLE tcpshim.events_in AS tcpshim.events_here
ENGINE = Distributed(tcpshim, tcpshim, events_here, cityHash64(host));

-- What each shard makes of these: more to ask by, and the figures of the notes, by their names (of
-- the first note of an event that has such a figure). These take no room: they are looked for when
-- they are asked for.
ALTER TABLE tcpshim.events_here
    ADD COLUMN at DateTime MATERIALIZED parseDateTimeBestEffort(time),
    ADD COLUMN calls UInt64 MATERIALIZED if(repeated > 0, repeated, 1),
    ADD COLUMN peer_host String MATERIALIZED replaceRegexpOne(peer, ':[0-9]+$', ''),
    ADD COLUMN via Array(String) MATERIALIZED extractAll(via_json, '[A-Z_0-9]+'),
    ADD COLUMN path String MATERIALIZED arrayStringConcat(arrayFilter(s -> s != '',
        arrayConcat([was], extractAll(via_json, '[A-Z_0-9]+'), [state])), ' '),
    ADD COLUMN note Array(String) MATERIALIZED extractAll(notes, '"code": ?"([a-z-]+)"'),
    ADD COLUMN note_after_fin UInt8 ALIAS match(notes, '"after_fin": ?true'),
    ADD COLUMN note_ago_ms UInt64 ALIAS toUInt64OrZero(extract(notes, '"ago_ms": ?([0-9]+)')),
    ADD COLUMN note_asked UInt64 ALIAS toUInt64OrZero(extract(notes, '"asked": ?([0-9]+)')),
    ADD COLUMN note_at String ALIAS extract(notes, '"at": ?(\\{[^}]*\\})'),
    ADD COLUMN note_at_least_ms UInt64 ALIAS toUInt64OrZero(extract(notes, '"at_least_ms": ?([0-9]+)')),
    ADD COLUMN note_backlog UInt64 ALIAS toUInt64OrZero(extract(notes, '"backlog": ?([0-9]+)')),
    ADD COLUMN note_bound UInt64 ALIAS toUInt64OrZero(extract(notes, '"bound": ?([0-9]+)')),
    ADD COLUMN note_by String ALIAS extract(notes, '"by": ?"([^"]*)"'),
    ADD COLUMN note_by_call String ALIAS extract(notes, '"by_call": ?"([^"]*)"'),
    ADD COLUMN note_by_tid UInt64 ALIAS toUInt64OrZero(extract(notes, '"by_tid": ?([0-9]+)')),
    ADD COLUMN note_cause String ALIAS extract(notes, '"cause": ?"([^"]*)"'),
    ADD COLUMN note_connections UInt64 ALIAS toUInt64OrZero(extract(notes, '"connections": ?([0-9]+)')),
    ADD COLUMN note_dropped UInt64 ALIAS toUInt64OrZero(extract(notes, '"dropped": ?([0-9]+)')),
    ADD COLUMN note_dual_stack UInt8 ALIAS match(notes, '"dual_stack": ?true'),
    ADD COLUMN note_dying UInt64 ALIAS toUInt64OrZero(extract(notes, '"dying": ?([0-9]+)')),
    ADD COLUMN note_earlier UInt8 ALIAS match(notes, '"earlier": ?true'),
    ADD COLUMN note_events UInt64 ALIAS toUInt64OrZero(extract(notes, '"events": ?([0-9]+)')),
    ADD COLUMN note_fin_sent UInt8 ALIAS match(notes, '"fin_sent": ?true'),
    ADD COLUMN note_first_port UInt64 ALIAS toUInt64OrZero(extract(notes, '"first_port": ?([0-9]+)')),
    ADD COLUMN note_first_unprivileged UInt64 ALIAS toUInt64OrZero(extract(notes, '"first_unprivileged": ?([0-9]+)')),
    ADD COLUMN note_had_option UInt8 ALIAS match(notes, '"had_option": ?true'),
    ADD COLUMN note_incomplete UInt8 ALIAS match(notes, '"incomplete": ?true'),
    ADD COLUMN note_inherited UInt8 ALIAS match(notes, '"inherited": ?true'),
    ADD COLUMN note_inode UInt64 ALIAS toUInt64OrZero(extract(notes, '"inode": ?([0-9]+)')),
    ADD COLUMN note_interrupted UInt8 ALIAS match(notes, '"interrupted": ?true'),
    ADD COLUMN note_last_port UInt64 ALIAS toUInt64OrZero(extract(notes, '"last_port": ?([0-9]+)')),
    ADD COLUMN note_limit UInt64 ALIAS toUInt64OrZero(extract(notes, '"limit": ?([0-9]+)')),
    ADD COLUMN note_listen_fds UInt8 ALIAS match(notes, '"listen_fds": ?true'),
    ADD COLUMN note_live UInt64 ALIAS toUInt64OrZero(extract(notes, '"live": ?([0-9]+)')),
    ADD COLUMN note_local String ALIAS extract(notes, '"local": ?"([^"]*)"'),
    ADD COLUMN note_max_ms UInt64 ALIAS toUInt64OrZero(extract(notes, '"max_ms": ?([0-9]+)')),
    ADD COLUMN note_mode String ALIAS extract(notes, '"mode": ?"([^"]*)"'),
    ADD COLUMN note_options Array(String) ALIAS extractAll(extract(notes, '"options": ?\\[([^]]*)'), '\\w+'),
    ADD COLUMN note_others UInt64 ALIAS toUInt64OrZero(extract(notes, '"others": ?([0-9]+)')),
    ADD COLUMN note_over_ms UInt64 ALIAS toUInt64OrZero(extract(notes, '"over_ms": ?([0-9]+)')),
    ADD COLUMN note_own_fd UInt64 ALIAS toUInt64OrZero(extract(notes, '"own_fd": ?([0-9]+)')),
    ADD COLUMN note_peer String ALIAS extract(notes, '"peer": ?"([^"]*)"'),
    ADD COLUMN note_pid UInt64 ALIAS toUInt64OrZero(extract(notes, '"pid": ?([0-9]+)')),
    ADD COLUMN note_port UInt64 ALIAS toUInt64OrZero(extract(notes, '"port": ?([0-9]+)')),
    ADD COLUMN note_prog String ALIAS extract(notes, '"prog": ?"([^"]*)"'),
    ADD COLUMN note_queued UInt64 ALIAS toUInt64OrZero(extract(notes, '"queued": ?([0-9]+)')),
    ADD COLUMN note_retransmits UInt64 ALIAS toUInt64OrZero(extract(notes, '"retransmits": ?([0-9]+)')),
    ADD COLUMN note_self_connected UInt8 ALIAS match(notes, '"self_connected": ?true'),
    ADD COLUMN note_shared_by_fork UInt8 ALIAS match(notes, '"shared_by_fork": ?true'),
    ADD COLUMN note_sockets UInt64 ALIAS toUInt64OrZero(extract(notes, '"sockets": ?([0-9]+)')),
    ADD COLUMN note_somaxconn UInt64 ALIAS toUInt64OrZero(extract(notes, '"somaxconn": ?([0-9]+)')),
    ADD COLUMN note_state String ALIAS extract(notes, '"state": ?"([^"]*)"'),
    ADD COLUMN note_syns UInt64 ALIAS toUInt64OrZero(extract(notes, '"syns": ?([0-9]+)')),
    ADD COLUMN note_taken UInt64 ALIAS toUInt64OrZero(extract(notes, '"taken": ?([0-9]+)')),
    ADD COLUMN note_tcp_at_least UInt64 ALIAS toUInt64OrZero(extract(notes, '"tcp_at_least": ?([0-9]+)')),
    ADD COLUMN note_tid UInt64 ALIAS toUInt64OrZero(extract(notes, '"tid": ?([0-9]+)')),
    ADD COLUMN note_time_wait UInt64 ALIAS toUInt64OrZero(extract(notes, '"time_wait": ?([0-9]+)')),
    ADD COLUMN note_uid UInt64 ALIAS toUInt64OrZero(extract(notes, '"uid": ?([0-9]+)')),
    ADD COLUMN note_unread UInt64 ALIAS toUInt64OrZero(extract(notes, '"unread": ?([0-9]+)')),
    ADD COLUMN note_waited_ms UInt64 ALIAS toUInt64OrZero(extract(notes, '"waited_ms": ?([0-9]+)')),
    ADD COLUMN note_without_end UInt64 ALIAS toUInt64OrZero(extract(notes, '"without_end": ?([0-9]+)'));

CREATE TABLE tcpshim.events AS tcpshim.events_here
ENGINE = Distributed(tcpshim, tcpshim, events_here, cityHash64(host));
