-- +goose Up
SET LOCAL statement_timeout = 0;

-- One gateway key a row. The column key is all of it but for its hash, in JSON; the others
-- repeat what keys are found by. revoked alone changes.
CREATE TABLE gateway_keys (
    id      text COLLATE "C" NOT NULL PRIMARY KEY,
    hash    bytea  NOT NULL UNIQUE, -- SHA-256 of the secret, which is kept nowhere
    created bigint NOT NULL,        -- milliseconds since 1970
    revoked bigint,                 -- likewise; NULL: it is not
    key     json   NOT NULL
);

-- Grows with each change of the keys, so that others need not read them all to see one.
CREATE TABLE gateway_keys_revision (
    one      boolean NOT NULL PRIMARY KEY CHECK (one),
    revision bigint  NOT NULL
);
INSERT INTO gateway_keys_revision VALUES (true, 0);

-- What was made with which key.
CREATE TABLE owned (
    id   text COLLATE "C" NOT NULL, -- the provider's name and the id there
    key  text COLLATE "C" NOT NULL,
    time bigint NOT NULL,           -- milliseconds since 1970
    PRIMARY KEY (id, key)
);
CREATE INDEX owned_time ON owned (time);

-- What is spent and held of one key's budget of one period, in picodollars.
CREATE TABLE key_budgets (
    key   text COLLATE "C" NOT NULL,
    since bigint NOT NULL, -- when the period began, in seconds since 1970
    spent bigint NOT NULL,
    held  bigint NOT NULL,
    PRIMARY KEY (key, since)
);

-- Holds, and what they leave behind. One that is not open no longer counts in held: it has
-- outlived its life, or was charged without being held. charged is what of it is in spent.
CREATE TABLE key_holds (
    id      text COLLATE "C" NOT NULL PRIMARY KEY,
    key     text COLLATE "C" NOT NULL,
    since   bigint      NOT NULL,
    money   bigint      NOT NULL,
    charged bigint      NOT NULL,
    open    boolean     NOT NULL,
    expires timestamptz NOT NULL
);
CREATE INDEX key_holds_budget ON key_holds (key, since, expires);
CREATE INDEX key_holds_over ON key_holds (expires) WHERE NOT open;

-- Makes sure that there is the row of a budget, and locks it. Who has it may change the
-- budget's holds. A new one begins with what the ledger says was spent before.
-- +goose StatementBegin
CREATE FUNCTION llmproxy_budget(p_key text, p_since bigint) RETURNS key_budgets
LANGUAGE plpgsql AS $$
DECLARE
    b key_budgets;
BEGIN
    LOOP
        SELECT * INTO b FROM key_budgets k WHERE k.key = p_key AND k.since = p_since FOR UPDATE;
        IF FOUND THEN
            RETURN b;
        END IF;
        INSERT INTO key_budgets (key, since, spent, held)
            SELECT p_key, p_since, LEAST(COALESCE(SUM(r.cost), 0), 9223372036854775807)::bigint, 0
            FROM usage_records r
            WHERE r.key <> '' AND r.key = p_key
                AND r.time >= CASE WHEN p_since < 0 THEN '-infinity'::timestamptz ELSE to_timestamp(p_since) END
            ON CONFLICT DO NOTHING;
    END LOOP;
END
$$;
-- +goose StatementEnd

-- Holds money of a budget, unless nothing is left of it. p_life is in microseconds.
-- +goose StatementBegin
CREATE FUNCTION llmproxy_hold(
    p_id text, p_key text, p_since bigint, p_limit bigint, p_money bigint, p_life bigint,
    OUT ok boolean, OUT spent bigint, OUT held bigint
) LANGUAGE plpgsql AS $$
DECLARE
    b        key_budgets;
    released numeric;
    used     numeric;
    t        timestamptz;
BEGIN
    b := llmproxy_budget(p_key, p_since);
    t := clock_timestamp(); -- after the lock has been waited for
    ok := true;
    spent := b.spent;
    held := b.held;
    IF EXISTS (SELECT FROM key_holds h WHERE h.id = p_id) THEN
        RETURN;
    END IF;
    -- Exchanges that are taken for dead: they cost what the ledger has, all that was held
    -- where it has them without a cost, and nothing where it does not know them.
    WITH over AS (
        UPDATE key_holds h
        SET open = false,
            charged = COALESCE((SELECT COALESCE(r.cost, h.money) FROM usage_records r WHERE r.id = h.id), 0)
        WHERE h.key = p_key AND h.since = p_since AND h.open AND h.expires <= t
        RETURNING h.money, h.charged
    )
    SELECT COALESCE(SUM(o.money), 0), COALESCE(SUM(o.charged), 0) INTO released, used FROM over o;
    held := held - released;
    spent := LEAST(spent + used, 9223372036854775807);
    ok := spent::numeric + held < p_limit;
    IF ok THEN
        INSERT INTO key_holds (id, key, since, money, charged, open, expires)
            VALUES (p_id, p_key, p_since, p_money, 0, true, t + p_life * interval '1 microsecond');
        held := held + p_money;
    END IF;
    IF ok OR released > 0 OR used > 0 THEN
        UPDATE key_budgets k SET spent = llmproxy_hold.spent, held = llmproxy_hold.held
            WHERE k.key = p_key AND k.since = p_since;
    END IF;
    -- Nobody settles those any more.
    DELETE FROM key_holds h WHERE NOT h.open AND h.key = p_key AND h.since = p_since AND h.expires < t - interval '7 days';
END
$$;
-- +goose StatementEnd

-- Settles a hold, or spends money without one.
-- +goose StatementBegin
CREATE FUNCTION llmproxy_settle(p_id text, p_key text, p_since bigint, p_cost bigint, p_charge boolean) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    h     key_holds;
    used  numeric;
    freed bigint := 0;
BEGIN
    PERFORM llmproxy_budget(p_key, p_since);
    IF p_charge THEN
        INSERT INTO key_holds (id, key, since, money, charged, open, expires)
            VALUES (p_id, p_key, p_since, 0, p_cost, false, clock_timestamp())
            ON CONFLICT DO NOTHING;
        IF NOT FOUND THEN
            RETURN;
        END IF;
        used := p_cost;
    ELSE
        DELETE FROM key_holds k WHERE k.id = p_id AND k.key = p_key AND k.since = p_since RETURNING k.* INTO h;
        IF NOT FOUND THEN
            RETURN;
        END IF;
        used := p_cost::numeric - h.charged;
        IF h.open THEN
            freed := h.money;
        END IF;
    END IF;
    UPDATE key_budgets k
        SET spent = LEAST(k.spent + used, 9223372036854775807)::bigint, held = k.held - freed
        WHERE k.key = p_key AND k.since = p_since;
END
$$;
-- +goose StatementEnd
