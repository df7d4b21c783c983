"""The stages: each file holds one, as `STAGE`; `plan/` puts them in order."""
