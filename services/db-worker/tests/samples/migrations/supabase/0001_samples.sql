\ir ../postgres/0001_samples.sql
