-- +goose Up
-- One usage record a row. The column record is the record; the others repeat what records
-- are found and summed by. original is the record as it was before its first repricing.
CREATE TABLE usage_records (
    id                  TEXT    NOT NULL PRIMARY KEY,
    revision            INTEGER NOT NULL,
    time                INTEGER NOT NULL, -- milliseconds since 1970
    provider            TEXT    NOT NULL,
    model               TEXT    NOT NULL,
    key                 TEXT    NOT NULL,
    outcome             TEXT    NOT NULL,
    cost_state          TEXT    NOT NULL,
    connection_id       TEXT    NOT NULL,
    response_id         TEXT    NOT NULL,
    tags                TEXT,             -- a JSON object; NULL without tags
    cost                INTEGER,          -- picodollars; NULL where it is not known
    list_cost           INTEGER,
    duration_ms         INTEGER NOT NULL,
    ttft_ms             INTEGER NOT NULL, -- 0 where nothing was streamed
    prompt_tokens       INTEGER NOT NULL, -- a total, as is completion_tokens
    completion_tokens   INTEGER NOT NULL,
    cache_read          INTEGER NOT NULL, -- disjoint parts of the totals, from here on
    cache_read_audio    INTEGER NOT NULL,
    cache_read_image    INTEGER NOT NULL,
    cache_write         INTEGER NOT NULL,
    cache_write_1h      INTEGER NOT NULL,
    cache_write_5m      INTEGER NOT NULL, -- a part of cache_write
    input_audio         INTEGER NOT NULL,
    input_image         INTEGER NOT NULL,
    input_video         INTEGER NOT NULL,
    input_tool          INTEGER NOT NULL,
    citation            INTEGER NOT NULL,
    reasoning           INTEGER NOT NULL,
    output_audio        INTEGER NOT NULL,
    output_image        INTEGER NOT NULL,
    accepted_prediction INTEGER NOT NULL, -- no parts of anything, from here on
    rejected_prediction INTEGER NOT NULL,
    web_searches        INTEGER NOT NULL,
    web_fetches         INTEGER NOT NULL,
    search_units        INTEGER NOT NULL,
    record              TEXT    NOT NULL, -- JSON
    original            TEXT
) STRICT;

CREATE INDEX usage_records_time ON usage_records (time);
CREATE INDEX usage_records_key ON usage_records (key, time) WHERE key <> '';
CREATE INDEX usage_records_model ON usage_records (model, time);
CREATE INDEX usage_records_provider ON usage_records (provider, time);
CREATE INDEX usage_records_connection ON usage_records (connection_id, time) WHERE connection_id <> '';
CREATE INDEX usage_records_pending ON usage_records (response_id, provider, time, id) WHERE outcome = 'pending';
CREATE INDEX usage_records_original ON usage_records (time) WHERE original IS NOT NULL;
