"""The gate of a Supabase project: /rest/v1 and the API key in front of a real PostgREST.

It is not Supabase: there is no auth, storage, realtime or functions service behind it. What is
behind /rest/v1 is the very PostgREST that Supabase runs, on a real PostgreSQL.
"""
