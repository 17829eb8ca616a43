-- +goose Up
-- One gateway key a row. The column key is all of it but for its hash, in JSON; the others
-- repeat what keys are found by. revoked alone changes.
CREATE TABLE gateway_keys (
    id      TEXT    NOT NULL PRIMARY KEY,
    hash    BLOB    NOT NULL UNIQUE, -- SHA-256 of the secret, which is kept nowhere
    created INTEGER NOT NULL,        -- milliseconds since 1970
    revoked INTEGER,                 -- likewise; NULL: it is not
    key     TEXT    NOT NULL
) STRICT;

-- Grows with each change of the keys, so that others need not read them all to see one.
CREATE TABLE gateway_keys_revision (
    one      INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    revision INTEGER NOT NULL
) STRICT;
INSERT INTO gateway_keys_revision VALUES (1, 0);

-- What was made with which key.
CREATE TABLE owned (
    id   TEXT    NOT NULL, -- the provider's name and the id there
    key  TEXT    NOT NULL,
    time INTEGER NOT NULL, -- milliseconds since 1970
    PRIMARY KEY (id, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX owned_time ON owned (time);
