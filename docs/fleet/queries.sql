-- Questions to many machines. FINAL leaves out what RELP has sent twice.

-- leaks: which hosts leave connections in CLOSE_WAIT, and since which release
-- (what a program has forgotten is told at its end by TCPSHIM_REPORT=1, what it closes late by the
-- note close-wait)
SELECT host, prog, argMin(release, time) AS since_release, min(time) AS since, count() AS leaked
FROM tcpshim.events FINAL
WHERE (call = 'exit' AND state = 'CLOSE_WAIT') OR has(note, 'close-wait')
GROUP BY host, prog
ORDER BY host, prog;

-- binds: which binds fail, and why
SELECT host, prog, error, note[1] AS why, note_prog AS holder, sum(calls) AS times
FROM tcpshim.events FINAL
WHERE call = 'bind' AND error != ''
GROUP BY host, prog, error, why, holder
ORDER BY times DESC, host, prog, why;

-- resets: of the connections with each peer, how many were reset, by whom
SELECT peer_host, count() AS closes, countIf(has(note, 'reset')) AS sent,
       countIf(has(note, 'peer-reset')) AS received, round((sent + received) / closes, 4) AS rate
FROM tcpshim.events FINAL
WHERE call = 'close' AND peer != ''
GROUP BY peer_host
ORDER BY rate DESC, peer_host;

-- paths: which ways the sockets go
SELECT call, path, count() AS times
FROM tcpshim.events FINAL
WHERE state != ''
GROUP BY call, path
ORDER BY times DESC, call, path
LIMIT 30;

-- noisiest: which programs make the most events
SELECT prog, release, uniqExact(host) AS hosts, count() AS events, sum(calls) AS made
FROM tcpshim.events FINAL
GROUP BY prog, release
ORDER BY events DESC, prog, release
LIMIT 30;

-- lost: what was told as lost
SELECT host, prog, sum(note_events) AS lost
FROM tcpshim.events FINAL
WHERE has(note, 'lost-events')
GROUP BY host, prog
ORDER BY lost DESC, host, prog;
