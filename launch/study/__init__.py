"""Studies: one grid learned from several seeds in several variants, compared on the same scenarios."""
