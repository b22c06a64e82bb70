-- Closes everything of ours to the API's public roles, run after every migration
-- and at every start that finds something open.
--
-- A project gives each new table, sequence and function of the schema public to
-- anon and authenticated by default. A rule per table would be forgotten with the
-- next one, so this is one over all: every relation and function named nexpo_*.
-- Row level security without a policy shows nothing; the service role passes by it.
DO $$
DECLARE
    object record;
BEGIN
    FOR object IN
        SELECT c.oid::regclass::text AS name, c.relkind AS kind
        FROM pg_class c
        WHERE c.relnamespace = 'public'::regnamespace AND starts_with(c.relname, 'nexpo_')
          AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
    LOOP
        IF object.kind IN ('r', 'p') THEN
            EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', object.name);
        END IF;
        IF object.kind = 'S' THEN
            EXECUTE format(
                'REVOKE ALL ON SEQUENCE %s FROM PUBLIC, anon, authenticated', object.name);
        ELSE
            EXECUTE format('REVOKE ALL ON %s FROM PUBLIC, anon, authenticated', object.name);
        END IF;
    END LOOP;
    FOR object IN
        SELECT p.oid::regprocedure::text AS name
        FROM pg_proc p
        WHERE p.pronamespace = 'public'::regnamespace AND starts_with(p.proname, 'nexpo_')
    LOOP
        EXECUTE format('REVOKE ALL ON ROUTINE %s FROM PUBLIC, anon, authenticated', object.name);
    END LOOP;
END $$;

NOTIFY pgrst, 'reload schema';
