-- Users. A record and its fence are one row: the undo empties the row and sets
-- tombstone, and the unique key keeps a late creation out. Binary collation, because
-- keys and addresses are compared as they are, whatever the database's default is.
CREATE TABLE dbo.nexpo_users (
    id             BIGINT IDENTITY(1, 1) NOT NULL CONSTRAINT nexpo_users_id PRIMARY KEY,
    tenant         NVARCHAR(128) COLLATE Latin1_General_100_BIN2 NOT NULL,
    effect_key     NVARCHAR(700) COLLATE Latin1_General_100_BIN2 NOT NULL,
    user_id        NVARCHAR(128) COLLATE Latin1_General_100_BIN2 NULL,
    email          NVARCHAR(320) COLLATE Latin1_General_100_BIN2 NULL,
    display_name   NVARCHAR(1000) NULL,
    state          NVARCHAR(32) NULL,
    profile        NVARCHAR(MAX) NULL,
    etag           NVARCHAR(128) COLLATE Latin1_General_100_BIN2 NULL,
    create_time    DATETIME2(6) NULL,
    update_time    DATETIME2(6) NULL,
    databases         NVARCHAR(400) NULL,
    password_hash  NVARCHAR(500) NULL,
    tombstone      BIT NOT NULL CONSTRAINT nexpo_users_alive DEFAULT 0,
    tombstone_time DATETIME2(6) NULL,
    CONSTRAINT nexpo_users_key UNIQUE (tenant, effect_key),
    CONSTRAINT nexpo_users_live CHECK (
        tombstone = 1 OR (
            tombstone_time IS NULL AND user_id IS NOT NULL AND email IS NOT NULL
            AND display_name IS NOT NULL AND state IS NOT NULL AND etag IS NOT NULL
            AND create_time IS NOT NULL AND update_time IS NOT NULL
            AND databases IS NOT NULL AND password_hash IS NOT NULL
        )
    ),
    -- Tombstones hold no personal data.
    CONSTRAINT nexpo_users_dead CHECK (
        tombstone = 0 OR (
            tombstone_time IS NOT NULL AND user_id IS NULL AND email IS NULL
            AND display_name IS NULL AND state IS NULL AND profile IS NULL AND etag IS NULL
            AND create_time IS NULL AND update_time IS NULL AND databases IS NULL
            AND password_hash IS NULL
        )
    )
);
GO
CREATE UNIQUE INDEX nexpo_users_email ON dbo.nexpo_users (tenant, email) WHERE tombstone = 0;
GO
CREATE UNIQUE INDEX nexpo_users_user_id ON dbo.nexpo_users (tenant, user_id) WHERE tombstone = 0;
GO
CREATE INDEX nexpo_users_page ON dbo.nexpo_users (tenant, create_time, user_id)
    WHERE tombstone = 0;
GO
CREATE INDEX nexpo_users_tombstone ON dbo.nexpo_users (tombstone_time) WHERE tombstone = 1;
GO
-- Claims: who holds which e-mail address or lock. The same fence.
CREATE TABLE dbo.nexpo_claims (
    id             BIGINT IDENTITY(1, 1) NOT NULL CONSTRAINT nexpo_claims_id PRIMARY KEY,
    tenant         NVARCHAR(128) COLLATE Latin1_General_100_BIN2 NOT NULL,
    effect_key     NVARCHAR(700) COLLATE Latin1_General_100_BIN2 NOT NULL,
    resource       NVARCHAR(700) COLLATE Latin1_General_100_BIN2 NULL,
    tombstone      BIT NOT NULL CONSTRAINT nexpo_claims_alive DEFAULT 0,
    tombstone_time DATETIME2(6) NULL,
    CONSTRAINT nexpo_claims_key UNIQUE (tenant, effect_key),
    CONSTRAINT nexpo_claims_live CHECK (
        tombstone = 1 OR (tombstone_time IS NULL AND resource IS NOT NULL)
    ),
    CONSTRAINT nexpo_claims_dead CHECK (
        tombstone = 0 OR (tombstone_time IS NOT NULL AND resource IS NULL)
    )
);
GO
CREATE UNIQUE INDEX nexpo_claims_resource ON dbo.nexpo_claims (tenant, resource)
    WHERE tombstone = 0;
GO
CREATE INDEX nexpo_claims_tombstone ON dbo.nexpo_claims (tombstone_time) WHERE tombstone = 1;
