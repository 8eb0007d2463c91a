"""Measurements side by side: ours and a plain way of doing the same. `make bench` runs all of them."""
