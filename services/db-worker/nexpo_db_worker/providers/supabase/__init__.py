"""Supabase, over its REST API (PostgREST); no auth service."""
