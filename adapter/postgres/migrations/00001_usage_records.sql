-- +goose Up
SET LOCAL statement_timeout = 0;

-- One usage record a row. The column record is the record; the others repeat what records
-- are found and summed by. original is the record as it was before its first repricing.
-- Both are JSON and not JSONB, which does not take every text that JSON can spell.
CREATE TABLE usage_records (
    id                  text COLLATE "C" NOT NULL PRIMARY KEY,
    revision            bigint      NOT NULL,
    time                timestamptz NOT NULL, -- in whole milliseconds
    provider            text        NOT NULL,
    model               text        NOT NULL,
    key                 text        NOT NULL,
    outcome             text        NOT NULL,
    cost_state          text        NOT NULL,
    connection_id       text        NOT NULL,
    response_id         text        NOT NULL,
    tags                jsonb,                -- an object; NULL without tags
    cost                bigint,               -- picodollars; NULL where it is not known
    list_cost           bigint,
    duration_ms         bigint      NOT NULL,
    ttft_ms             bigint      NOT NULL, -- 0 where nothing was streamed
    prompt_tokens       bigint, -- a total, as is completion_tokens; a count of 0 is NULL, which takes no room
    completion_tokens   bigint,
    cache_read          bigint, -- disjoint parts of the totals, from here on
    cache_read_audio    bigint,
    cache_read_image    bigint,
    cache_write         bigint,
    cache_write_1h      bigint,
    cache_write_5m      bigint, -- a part of cache_write
    input_audio         bigint,
    input_image         bigint,
    input_video         bigint,
    input_tool          bigint,
    citation            bigint,
    reasoning           bigint,
    output_audio        bigint,
    output_image        bigint,
    accepted_prediction bigint, -- no parts of anything, from here on
    rejected_prediction bigint,
    web_searches        bigint,
    web_fetches         bigint,
    search_units        bigint,
    record              json        NOT NULL,
    original            json
);

CREATE INDEX usage_records_time ON usage_records (time);
CREATE INDEX usage_records_key ON usage_records (key, time) WHERE key <> '';
CREATE INDEX usage_records_model ON usage_records (model, time);
CREATE INDEX usage_records_provider ON usage_records (provider, time);
CREATE INDEX usage_records_connection ON usage_records (connection_id, time) WHERE connection_id <> '';
CREATE INDEX usage_records_pending ON usage_records (response_id, provider, time, id) WHERE outcome = 'pending';
CREATE INDEX usage_records_original ON usage_records (time) WHERE original IS NOT NULL;
