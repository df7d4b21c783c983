"""File formats that come from strangers: each is read by its structure, nothing in it is believed."""
