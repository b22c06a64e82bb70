CREATE TABLE nexpo_samples (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant       text COLLATE "C" NOT NULL,
    key          text COLLATE "C" NOT NULL,
    name         text COLLATE "C",
    label        text COLLATE "C",
    note         text,
    body         jsonb,
    version      text COLLATE "C",
    born         timestamptz,
    seen         timestamptz,
    removed_time timestamptz,
    CONSTRAINT nexpo_samples_key UNIQUE (tenant, key)
);
CREATE UNIQUE INDEX nexpo_samples_label ON nexpo_samples (tenant, label) WHERE removed_time IS NULL;
CREATE UNIQUE INDEX nexpo_samples_name ON nexpo_samples (tenant, name) WHERE removed_time IS NULL;
CREATE INDEX nexpo_samples_page ON nexpo_samples (tenant, born, name) WHERE removed_time IS NULL;
CREATE INDEX nexpo_samples_removed ON nexpo_samples (removed_time) WHERE removed_time IS NOT NULL;
CREATE TABLE nexpo_sample_claims (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant       text COLLATE "C" NOT NULL,
    key          text COLLATE "C" NOT NULL,
    resource     text COLLATE "C",
    removed_time timestamptz,
    CONSTRAINT nexpo_sample_claims_key UNIQUE (tenant, key)
);
CREATE UNIQUE INDEX nexpo_sample_claims_resource ON nexpo_sample_claims (tenant, resource)
    WHERE removed_time IS NULL;
