-- The same questions to the files of one machine. What is asked is a view over the files: the
-- release is what their folder is called.

CREATE VIEW events AS
SELECT *, regexp_extract(filename, '([^/]+)/[^/]+$', 1) AS release,
       coalesce(repeated.times, 1) AS calls,
       coalesce(json_extract_string(notes, '$[*].code'), []) AS note,
       regexp_replace(peer, ':[0-9]+$', '') AS peer_host,
       array_to_string(list_filter(list_concat([was], via, [state]), lambda s: s IS NOT NULL), ' ')
           AS path
FROM read_json(getvariable('files'), format = 'newline_delimited', filename = true, columns = {
    time: 'VARCHAR', pid: 'BIGINT', tid: 'BIGINT', prog: 'VARCHAR', seq: 'UBIGINT', call: 'VARCHAR',
    "by": 'VARCHAR', fd: 'INTEGER', ret: 'BIGINT', error: 'VARCHAR',
    repeated: 'STRUCT(times UBIGINT, over_ms UBIGINT)', args: 'JSON', sock: 'UBIGINT',
    netns: 'UBIGINT', local: 'VARCHAR', peer: 'VARCHAR', was: 'VARCHAR', via: 'VARCHAR[]',
    state: 'VARCHAR', timer_ms: 'UBIGINT', age_ms: 'UBIGINT', closed: 'JSON', totals: 'JSON',
    unlisted: 'UBIGINT', dur_ns: 'UBIGINT', notes: 'JSON', stack: 'JSON'});

-- leaks
SELECT prog, arg_min(release, time) AS since_release, min(time) AS since, count(*) AS leaked
FROM events
WHERE (call = 'exit' AND state = 'CLOSE_WAIT') OR list_contains(note, 'close-wait')
GROUP BY prog
ORDER BY prog;

-- binds
SELECT prog, error, coalesce(note[1], '') AS why,
       coalesce(json_extract_string(notes, '$[0].prog'), '') AS holder, sum(calls) AS times
FROM events
WHERE call = 'bind' AND error IS NOT NULL
GROUP BY prog, error, why, holder
ORDER BY times DESC, prog, why;

-- resets
SELECT peer_host, count(*) AS closes, count(*) FILTER (list_contains(note, 'reset')) AS sent,
       count(*) FILTER (list_contains(note, 'peer-reset')) AS received,
       round((sent + received) / closes, 4) AS rate
FROM events
WHERE call = 'close' AND peer IS NOT NULL
GROUP BY peer_host
ORDER BY rate DESC, peer_host;

-- paths
SELECT call, path, count(*) AS times
FROM events
WHERE state IS NOT NULL
GROUP BY call, path
ORDER BY times DESC, call, path
LIMIT 30;

-- noisiest
SELECT prog, release, count(*) AS events, sum(calls) AS made
FROM events
GROUP BY prog, release
ORDER BY events DESC, prog, release
LIMIT 30;

-- lost
SELECT prog, sum(json_extract(notes, '$[*].events')[1]::UBIGINT) AS lost
FROM events
WHERE list_contains(note, 'lost-events')
GROUP BY prog
ORDER BY lost DESC, prog;
