"""The synthetic family: factored Markov decision processes with a known partition."""
