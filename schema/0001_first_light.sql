-- The database of one edge, as a person finds it at the sqlite3 prompt.
--
--   SELECT * FROM video;           what is listed, and where its bytes are
--   SELECT * FROM chunk LIMIT 5;   the chunks that this edge holds
--   SELECT * FROM overview;        size, duration, bitrate, gaps per video
--   SELECT * FROM custody;         which edge says that it holds or shows what, since when
--
-- Everything binary is kept out of these: what is signed is in claim, upload,
-- holding and chunk_proof, and the media is in part. Open the file read-only
-- (sqlite3 -readonly) while an edge is running; its rows are changed by the edge alone.
--
-- Times are ISO 8601 in UTC; columns ending in _us are microseconds since 1970.

CREATE TABLE streamer (
    id         TEXT PRIMARY KEY,
    name       TEXT NOT NULL,                                -- as of the newest claim
    created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP  -- of the first claim
);

-- One row per video id. Where two streamers claim the same id, the one here is: of those
-- that some edge can still show, of those that two edges vouch for (or one, or none),
-- the one with the lowest (created, streamer_id).
CREATE TABLE video (
    id          TEXT PRIMARY KEY,
    title       TEXT NOT NULL,
    description TEXT,
    category    TEXT NOT NULL,
    live        BOOLEAN NOT NULL DEFAULT 0,  -- 1: running now
    edges       TEXT NOT NULL,               -- comma-separated: who holds every byte, or shows the live
    thumbnail   TEXT NOT NULL,
    streamer_id TEXT NOT NULL REFERENCES streamer(id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    created_at  TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    state       TEXT NOT NULL,  -- listed: complete, live; not listed: uploading (to this edge),
                                -- unlisted (bytes are here, but no edge answers for them)
    media_type  TEXT NOT NULL,
    codecs      TEXT NOT NULL,
    chunks      INTEGER,        -- of the whole video, when it is known
    bytes       INTEGER,        -- likewise
    CHECK (state IN ('uploading', 'complete', 'live', 'unlisted'))
);
CREATE INDEX video_newest ON video(created_at DESC, id) WHERE state IN ('complete', 'live');
CREATE INDEX video_streamer ON video(streamer_id);

-- What this edge holds of a chunk, from its first part on.
CREATE TABLE chunk (
    id          TEXT PRIMARY KEY,  -- video1-000042; video1.alice-000042 for a second claim's
    video_id    TEXT NOT NULL REFERENCES video(id) ON DELETE CASCADE,
    chunk_nb    INTEGER NOT NULL,
    part        INTEGER NOT NULL,  -- parts held
    parts       INTEGER NOT NULL,  -- parts that it has
    kind        TEXT NOT NULL,     -- init, media, end
    keyframe    BOOLEAN NOT NULL,
    bytes       INTEGER NOT NULL,  -- of media in the whole chunk
    duration_ms INTEGER NOT NULL,
    captured_at TIMESTAMP,
    copy        INTEGER NOT NULL   -- copy.n
);
CREATE INDEX chunk_order ON chunk(video_id, chunk_nb);

-- The bytes of one claim that this edge holds or is being given: how far it has come.
-- Everything before (next, next_part) is on disk. Its row of video stays as long as it does.
CREATE TABLE copy (
    n            INTEGER PRIMARY KEY,   -- not used again while it is in garbage
    video_id     TEXT NOT NULL REFERENCES video(id) DEFERRABLE INITIALLY DEFERRED,
    streamer_id  TEXT NOT NULL,
    state        TEXT NOT NULL,         -- uploading, fetching, whole
    kept         BOOLEAN NOT NULL DEFAULT 0,  -- 0: a cached copy, which may make room for others
    used_us      INTEGER NOT NULL,      -- last watched
    chunk_prefix TEXT NOT NULL UNIQUE,  -- of chunk.id
    next         INTEGER NOT NULL,
    next_part    INTEGER NOT NULL,
    init_number  INTEGER NOT NULL,      -- last whole init chunk; 0: none
    bytes        INTEGER NOT NULL,      -- of media in whole chunks
    duration_us  INTEGER NOT NULL,
    stream       BLOB NOT NULL,
    prev         BLOB NOT NULL,         -- hash of the statement of chunk next - 1
    current      BLOB NOT NULL,         -- of chunk next, if next_part > 0
    root         BLOB,                  -- of the manifest, when whole
    receipt      BLOB,                  -- an edge's, that it had all of it: given here for the upload, or
                                        -- come with the copy from another edge
    receipt_credential BLOB,            -- of the edge that signed it
    receipt_ours BOOLEAN NOT NULL DEFAULT 0,  -- 1: given here
    UNIQUE (video_id, streamer_id),
    CHECK (state IN ('uploading', 'fetching', 'whole'))
);
CREATE INDEX copy_cached ON copy(used_us) WHERE state <> 'uploading' AND kept = 0;

-- Copies that were dropped: their parts are freed little by little, so that nothing has
-- to wait for it.
CREATE TABLE garbage (
    copy INTEGER PRIMARY KEY
);

-- What the streamer signed at the start of an upload that is not finished. It becomes
-- a claim, and so part of the catalogue, when it is.
CREATE TABLE upload (
    copy          INTEGER PRIMARY KEY REFERENCES copy(n) ON DELETE CASCADE,
    revision_us   INTEGER NOT NULL,
    thumbnail     TEXT NOT NULL,
    statement     BLOB NOT NULL,
    credential    BLOB NOT NULL
);

-- Where the streamer gave no thumbnail: one that an edge made and signed because he said that it
-- may. It goes with the copy.
CREATE TABLE thumbnail (
    copy       INTEGER PRIMARY KEY REFERENCES copy(n) ON DELETE CASCADE,
    delegation BLOB NOT NULL,  -- signed by the streamer
    packet     BLOB NOT NULL   -- the part, signed by the edge; its payload is the JPEG
);

-- The media: packets as they travel, statement and proof included.
CREATE TABLE part (
    copy     INTEGER NOT NULL,  -- copy.n or garbage.copy
    chunk_nb INTEGER NOT NULL,
    part_nb  INTEGER NOT NULL,  -- from 0
    packet   BLOB NOT NULL,
    PRIMARY KEY (copy, chunk_nb, part_nb)
);

-- What the streamer signed about each chunk held.
CREATE TABLE chunk_proof (
    copy      INTEGER NOT NULL,  -- copy.n or garbage.copy
    chunk_nb  INTEGER NOT NULL,
    hash      BLOB NOT NULL,
    statement BLOB NOT NULL,
    signature BLOB NOT NULL,
    PRIMARY KEY (copy, chunk_nb)
) WITHOUT ROWID;

-- The catalogue, shared by all edges: what streamers say about their videos and lives,
-- last of all that one is deleted. Of two rows with the same key the greatest (revision,
-- deleted, statement hash) stays; what ties remain, the other bytes decide.
-- Two edges agree when the digests of all their claims and holdings do; a leaf is a
-- handful of video ids, so that they find out quickly where they do not.
CREATE TABLE claim (
    video_id       TEXT NOT NULL,
    streamer_id    TEXT NOT NULL,
    deleted        BOOLEAN NOT NULL,  -- 1: statement is a deletion, and nothing of the video is left
    created_us     INTEGER NOT NULL,
    revision_us    INTEGER NOT NULL,
    leaf           INTEGER NOT NULL,  -- 0 ... 65535
    digest         BLOB NOT NULL,     -- of the whole row
    stream         BLOB NOT NULL,
    statement_hash BLOB NOT NULL,
    statement      BLOB NOT NULL,
    credential     BLOB NOT NULL,  -- empty: a deletion that the zone signed
    manifest       BLOB NOT NULL,  -- empty: a live, or a deletion
    thumbnail      TEXT NOT NULL,
    PRIMARY KEY (video_id, streamer_id)
);
CREATE INDEX claim_leaf ON claim(leaf, digest);
CREATE INDEX claim_newest ON claim(streamer_id, revision_us, video_id) WHERE deleted = 0;
CREATE INDEX claim_first ON claim(streamer_id, created_us) WHERE deleted = 0;

-- The catalogue, second half: what edges say about the bytes; only beside a claim that is
-- not deleted. Of two rows with the same key the greatest hlc stays; state 0 is kept for a
-- month, so that an older 1 cannot come back.
CREATE TABLE holding (
    video_id        TEXT NOT NULL,
    streamer_id     TEXT NOT NULL,
    edge_id         TEXT NOT NULL,
    kind            TEXT NOT NULL,     -- custody: every byte is there; presence: the live is there
    state           INTEGER NOT NULL,  -- 1 yes, 0 no longer
    hlc             INTEGER NOT NULL,  -- milliseconds * 65536 + counter
    leaf            INTEGER NOT NULL,  -- as in claim
    digest          BLOB NOT NULL,
    stream          BLOB NOT NULL,
    object          BLOB NOT NULL,
    edge_credential BLOB NOT NULL,
    PRIMARY KEY (video_id, streamer_id, edge_id, kind),
    CHECK (kind IN ('custody', 'presence'))
);
CREATE INDEX holding_edge ON holding(edge_id, kind, state, hlc);
CREATE INDEX holding_leaf ON holding(leaf, digest);
CREATE INDEX holding_gone ON holding(hlc) WHERE state = 0;

-- Small values of this node, by name.
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value BLOB NOT NULL
) WITHOUT ROWID;

CREATE VIEW overview AS
SELECT v.id,
       v.title,
       v.state,
       v.edges,
       count(c.id)                                          AS chunks_here,
       v.chunks                                             AS chunks_all,
       v.chunks - count(CASE WHEN c.part = c.parts THEN 1 END) AS chunks_missing,
       round(sum(c.bytes) / 1e6, 1)                         AS megabytes,
       round(sum(c.duration_ms) / 1e3, 1)                   AS seconds,
       CAST(8 * sum(c.bytes) / nullif(sum(c.duration_ms), 0) AS INTEGER) AS kbit_per_s
FROM video v
LEFT JOIN copy k ON k.video_id = v.id AND k.streamer_id = v.streamer_id
LEFT JOIN chunk c ON c.video_id = v.id AND c.copy = k.n
GROUP BY v.id;

CREATE VIEW custody AS
SELECT video_id,
       streamer_id,
       edge_id,
       kind,
       CASE state WHEN 1 THEN 'yes' ELSE 'no longer' END AS state,
       strftime('%Y-%m-%dT%H:%M:%fZ', (hlc >> 16) / 1000.0, 'unixepoch') AS since
FROM holding;
