-- The tables are PostgreSQL's.
\ir ../postgres/0001_users.sql
-- The API shows every table of the schema public, and its public roles may use
-- what row level security does not forbid: no policy, so nothing at all. The
-- service role passes by row level security.
ALTER TABLE nexpo_users ENABLE ROW LEVEL SECURITY;
ALTER TABLE nexpo_claims ENABLE ROW LEVEL SECURITY;
REVOKE ALL ON nexpo_users, nexpo_claims FROM anon, authenticated;
GRANT SELECT, INSERT, UPDATE, DELETE ON nexpo_users, nexpo_claims TO service_role;
