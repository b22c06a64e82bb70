-- Users. A record and its fence are one row: the undo empties the row and sets
-- removed_time, and the unique key keeps a late creation out.
CREATE TABLE nexpo_users (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant        text COLLATE "C" NOT NULL,
    key           text COLLATE "C" NOT NULL,
    user_id       text COLLATE "C",
    email         text COLLATE "C",
    display_name  text,
    state         text,
    profile       jsonb,
    etag          text COLLATE "C",
    create_time   timestamptz,
    update_time   timestamptz,
    databases        text,
    password_hash text,
    removed_time  timestamptz,
    CONSTRAINT nexpo_users_key UNIQUE (tenant, key),
    CONSTRAINT nexpo_users_live CHECK (
        removed_time IS NOT NULL
        OR num_nulls(user_id, email, display_name, state, etag, create_time, update_time, databases, password_hash) = 0
    ),
    -- Tombstones hold no personal data.
    CONSTRAINT nexpo_users_tombstone CHECK (
        removed_time IS NULL
        OR num_nonnulls(user_id, email, display_name, state, profile, etag, create_time, update_time, databases, password_hash) = 0
    )
);
CREATE UNIQUE INDEX nexpo_users_email ON nexpo_users (tenant, email) WHERE removed_time IS NULL;
CREATE UNIQUE INDEX nexpo_users_user_id ON nexpo_users (tenant, user_id) WHERE removed_time IS NULL;
CREATE INDEX nexpo_users_page ON nexpo_users (tenant, create_time, user_id) WHERE removed_time IS NULL;
CREATE INDEX nexpo_users_removed ON nexpo_users (removed_time) WHERE removed_time IS NOT NULL;

-- Claims: who holds which e-mail address or lock. The same fence.
CREATE TABLE nexpo_claims (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant       text COLLATE "C" NOT NULL,
    key          text COLLATE "C" NOT NULL,
    resource     text COLLATE "C",
    removed_time timestamptz,
    CONSTRAINT nexpo_claims_key UNIQUE (tenant, key),
    CONSTRAINT nexpo_claims_tombstone CHECK ((resource IS NULL) = (removed_time IS NOT NULL))
);
CREATE UNIQUE INDEX nexpo_claims_resource ON nexpo_claims (tenant, resource) WHERE removed_time IS NULL;
CREATE INDEX nexpo_claims_removed ON nexpo_claims (removed_time) WHERE removed_time IS NOT NULL;
