CREATE TABLE dbo.nexpo_samples (
    id             BIGINT IDENTITY(1, 1) NOT NULL CONSTRAINT nexpo_samples_id PRIMARY KEY,
    tenant         NVARCHAR(128) COLLATE Latin1_General_100_BIN2 NOT NULL,
    effect_key     NVARCHAR(700) COLLATE Latin1_General_100_BIN2 NOT NULL,
    name           NVARCHAR(128) COLLATE Latin1_General_100_BIN2 NULL,
    label          NVARCHAR(320) COLLATE Latin1_General_100_BIN2 NULL,
    note           NVARCHAR(1000) NULL,
    body           NVARCHAR(MAX) NULL,
    version        NVARCHAR(128) COLLATE Latin1_General_100_BIN2 NULL,
    born           DATETIME2(6) NULL,
    seen           DATETIME2(6) NULL,
    tombstone      BIT NOT NULL CONSTRAINT nexpo_samples_alive DEFAULT 0,
    tombstone_time DATETIME2(6) NULL,
    CONSTRAINT nexpo_samples_key UNIQUE (tenant, effect_key)
);
GO
CREATE UNIQUE INDEX nexpo_samples_label ON dbo.nexpo_samples (tenant, label) WHERE tombstone = 0;
GO
CREATE UNIQUE INDEX nexpo_samples_name ON dbo.nexpo_samples (tenant, name) WHERE tombstone = 0;
GO
CREATE INDEX nexpo_samples_page ON dbo.nexpo_samples (tenant, born, name) WHERE tombstone = 0;
GO
CREATE TABLE dbo.nexpo_sample_claims (
    id             BIGINT IDENTITY(1, 1) NOT NULL CONSTRAINT nexpo_sample_claims_id PRIMARY KEY,
    tenant         NVARCHAR(128) COLLATE Latin1_General_100_BIN2 NOT NULL,
    effect_key     NVARCHAR(700) COLLATE Latin1_General_100_BIN2 NOT NULL,
    resource       NVARCHAR(700) COLLATE Latin1_General_100_BIN2 NULL,
    tombstone      BIT NOT NULL CONSTRAINT nexpo_sample_claims_alive DEFAULT 0,
    tombstone_time DATETIME2(6) NULL,
    CONSTRAINT nexpo_sample_claims_key UNIQUE (tenant, effect_key)
);
GO
CREATE UNIQUE INDEX nexpo_sample_claims_resource ON dbo.nexpo_sample_claims (tenant, resource)
    WHERE tombstone = 0;
