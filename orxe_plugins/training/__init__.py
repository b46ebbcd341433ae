"""Short training loops: for made experts and for ranking gates."""
